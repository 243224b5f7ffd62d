//! The monitor against simulated clusters: random failovers, faults, delays and stale tables.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use host_pattern::InstancePattern;
use tokio::time::Instant;
use wrapper_core::Role;

use super::*;
use crate::{
    answer::{Answer, Row},
    knowledge::Naming,
    schedule::Mode,
};

const RATES: Rates = Rates { refresh: Duration::from_secs(30), high: Duration::from_millis(100) };

/// How long faults happen, and how long the monitor has to find the writer afterwards.
const FAULTS: Duration = Duration::from_secs(150);
const CALM: Duration = Duration::from_secs(60);

/// A small generator (splitmix64): the seed is all that a failure needs to be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    /// Returns the time on the way: short as a rule.
    fn delay(&mut self) -> Duration {
        let bound = if self.one_in(4) { 6_000 } else { 20 };
        self.millis(bound)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// The truth: who was the writer when, and who can be reached.
struct Simulation {
    ids: Vec<Arc<str>>,
    history: Vec<(Instant, Option<usize>)>,
    down: Vec<bool>,
    endpoint: usize,
}

impl Simulation {
    fn writer_at(&self, at: Instant) -> Option<usize> {
        self.history.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, writer)| *writer)
    }

    /// Returns what an instance answers at one moment; readers' tables lag by up to three seconds.
    fn answer(&self, asked: usize, at: Instant, random: &mut Random) -> Answer {
        let is_writer = self.writer_at(at) == Some(asked);
        let (changed, _) = *self.history.iter().rev().find(|(since, _)| *since <= at).expect("has a first");
        let told = if is_writer { Some(asked) } else { self.writer_at(at - random.millis(3_000)) };
        let row = |(index, id): (usize, &Arc<str>)| Row {
            id: Arc::clone(id),
            is_writer: told == Some(index),
            cpu: None,
            lag: None,
            updated: None,
        };
        // Just after a change one of the two answers may be of before.
        let is_stale = at - changed < Duration::from_millis(500) && random.one_in(3);
        Answer {
            id: Arc::clone(&self.ids[asked]),
            is_writer: is_writer && !is_stale,
            is_read_only: !is_writer,
            rows: self.ids.iter().enumerate().map(row).collect(),
        }
    }
}

/// A question that is under way.
struct Question {
    /// Whether it is the monitor's; else an application's connect asks on its way.
    is_monitors: bool,
    target: Target,
    asked: Instant,
    ends: Instant,
    /// Who answers, and when; what is true then is known only at the end.
    answer: Option<(usize, Instant)>,
}

/// Watches what is published: every writer was one when it said so, and none follows a later one.
#[derive(Default)]
struct Referee {
    writers: BTreeMap<u64, String>,
    last: Option<(String, Instant)>,
    published: Option<String>,
}

impl Referee {
    fn judge(
        &mut self,
        simulation: &Simulation,
        epoch: u64,
        writer: Option<&str>,
        said_at: Option<Instant>,
    ) -> Result<(), String> {
        if let Some(writer) = writer {
            let first = self.writers.entry(epoch).or_insert_with(|| writer.to_owned());
            if first != writer {
                return Err(format!("`{first}` and `{writer}` in epoch {epoch}"));
            }
        }
        if self.published.as_deref() != writer
            && let (Some(writer), Some(at)) = (writer, said_at)
        {
            let truth = simulation.writer_at(at).map(|index| &*simulation.ids[index]);
            if truth != Some(writer) {
                return Err(format!("`{writer}` was published while {truth:?} was the writer"));
            }
            if let Some((former, before)) = &self.last
                && at < *before
            {
                return Err(format!("`{writer}` follows `{former}`, which became the writer later"));
            }
        }
        self.published = writer.map(str::to_owned);
        if let (Some(writer), Some(at)) = (writer, said_at) {
            self.last = Some((writer.to_owned(), at));
        }
        Ok(())
    }
}

/// Believes the last table it saw, as clients without evidence do.
#[derive(Default)]
struct Naive {
    epoch: u64,
    writer: Option<String>,
}

impl Naive {
    fn answered(&mut self, answer: &Answer) {
        let named = answer.rows.iter().find(|row| row.is_writer).map(|row| row.id.to_string());
        if named.is_some() && named != self.writer {
            self.epoch += 1;
            self.writer = named;
        }
    }
}

/// How one run ended: for the monitor, and for the naive variant beside it.
struct Outcome {
    monitor: Result<(), String>,
    naive: Result<(), String>,
}

fn run(seed: u64, start: Instant) -> Outcome {
    let mut random = Random(seed);
    let count = 1 + random.below(4) as usize;
    let ids: Vec<Arc<str>> = (0..count).map(|index| format!("db-{index}").into()).collect();
    let mut simulation = Simulation {
        down: vec![false; ids.len()],
        ids,
        history: vec![(start - Duration::from_secs(10), Some(0))],
        endpoint: 0,
    };
    let pattern = InstancePattern::parse("?.abc123.us-east-2.rds.amazonaws.com").expect("a pattern");
    let knowledge = Knowledge::discovering(Naming { pattern, port: 5432 });
    let mut monitor = Monitor::new(knowledge, RATES, start);
    let (mut referee, mut naive_referee, mut naive) =
        (Referee::default(), Referee::default(), Naive::default());
    let mut outcome = Outcome { monitor: Ok(()), naive: Ok(()) };
    let (mut now, mut questions, mut next_fault): (_, Vec<Question>, _) =
        (start, Vec::new(), start + random.millis(20_000));
    let calm_at = start + FAULTS;
    let end = calm_at + CALM;

    while now < end {
        monitor.schedule.used(now);
        for target in monitor.due(now) {
            let is_lossy = now < calm_at;
            questions.push(ask(&simulation, target, now, is_lossy, &mut random));
        }
        if now < calm_at && random.one_in(3) {
            let mut targets = vec![Target::Endpoint];
            targets.extend(monitor.knowledge.members().iter().map(|member| member.dialled()));
            let target = targets.swap_remove(random.below(targets.len() as u64) as usize);
            questions
                .push(Question { is_monitors: false, ..ask(&simulation, target, now, true, &mut random) });
        }
        let arrival = questions.iter().map(|question| question.ends).min();
        let fault = (next_fault < calm_at).then_some(next_fault);
        let next = [Some(monitor.wake_at(now)), arrival, fault].into_iter().flatten().min();
        now = next.unwrap_or(end).max(now + Duration::from_millis(1));

        if fault.is_some_and(|fault| fault <= now) {
            break_something(&mut simulation, now, &mut random);
            // Some failovers follow at once on another one.
            let bound = if random.one_in(8) { 20_000 } else { 2_500 };
            next_fault = now + random.millis(bound);
        }
        if now >= calm_at {
            simulation.down.fill(false);
            let writer = simulation.writer_at(now).unwrap_or(0);
            if simulation.writer_at(now).is_none() {
                simulation.history.push((now, Some(writer)));
            }
            simulation.endpoint = writer;
        }
        let (over, left) = questions.into_iter().partition(|question| question.ends <= now);
        questions = left;
        for question in over {
            let Question { is_monitors, target, asked, answer, .. } = question;
            match answer {
                None if !is_monitors => drop(monitor.knowledge.failed(&target, asked, now)),
                None => drop(monitor.failed(&target, asked, now, PollOutcome::Failed, 0.5)),
                Some((index, said_at)) => {
                    let answer = simulation.answer(index, said_at, &mut random);
                    naive.answered(&answer);
                    let naive_writer = naive.writer.as_deref();
                    let judged = naive_referee.judge(&simulation, naive.epoch, naive_writer, Some(said_at));
                    outcome.naive = outcome.naive.and(judged);
                    let evidence = Evidence { dialled: target, asked, answered: now, answer };
                    let (verdict, _) = match is_monitors {
                        true => monitor.answered(&evidence, 0.5),
                        false => monitor.knowledge.answered(&evidence),
                    };
                    let snapshot = monitor.snapshot(now);
                    let writer = snapshot.writer().map(|writer| writer.id());
                    let said_at = (verdict == Verdict::Writer).then_some(said_at);
                    let judged = referee.judge(&simulation, snapshot.epoch(), writer, said_at);
                    outcome.monitor = outcome.monitor.and(judged);
                    if verdict == Verdict::Reader && writer == Some(&*evidence.answer.id) {
                        outcome.monitor =
                            Err(format!("`{}` is served after its own word", evidence.answer.id));
                    }
                }
            }
        }
    }
    let truth = simulation.writer_at(now).map(|index| simulation.ids[index].to_string());
    let found = monitor.snapshot(now).writer().map(|writer| writer.id().to_owned());
    if found != truth {
        outcome.monitor =
            outcome.monitor.and(Err(format!("ended at {found:?}, and {truth:?} is the writer")));
    }
    let mode = monitor.schedule.mode(now);
    if mode == Mode::Doubt {
        outcome.monitor = outcome.monitor.and(Err("never ended its doubt".to_owned()));
    }
    outcome
}

/// Puts a question; when it ends is known in advance.
fn ask(
    simulation: &Simulation,
    target: Target,
    asked: Instant,
    is_lossy: bool,
    random: &mut Random,
) -> Question {
    let index = match target.id() {
        None => simulation.endpoint,
        Some(id) => simulation.ids.iter().position(|known| known == id).expect("an instance"),
    };
    if simulation.down[index] || (is_lossy && random.one_in(40)) {
        // Refused at once, or never answered.
        let takes = if random.one_in(2) { random.millis(50) } else { Duration::from_secs(5) };
        return Question { is_monitors: true, target, asked, ends: asked + takes, answer: None };
    }
    let said_at = asked + random.delay();
    let ends = said_at + random.delay();
    Question { is_monitors: true, target, asked, ends, answer: Some((index, said_at)) }
}

fn break_something(simulation: &mut Simulation, now: Instant, random: &mut Random) {
    let index = random.below(simulation.ids.len() as u64) as usize;
    match random.below(10) {
        0 => simulation.down[index] = !simulation.down[index],
        1 => simulation.endpoint = index,
        2 => simulation.history.push((now, None)),
        _ => {
            simulation.history.push((now, Some(index)));
            simulation.down[index] = false;
        }
    }
}

#[test]
fn monitor_never_errs_and_always_ends_where_the_naive_variant_errs() {
    let start = Instant::now() + Duration::from_secs(3_600);
    let mut naive_errors = 0;
    for seed in 0..120 {
        let outcome = run(seed, start);
        if let Err(error) = outcome.monitor {
            panic!("seed {seed}: {error}");
        }
        naive_errors += u32::from(outcome.naive.is_err());
    }
    assert!(naive_errors > 60, "the faults are too gentle: {naive_errors}");
}

#[test]
fn role_of_a_reader_is_its_own_word() {
    let start = Instant::now() + Duration::from_secs(3_600);
    let mut random = Random(7);
    let simulation = Simulation {
        ids: vec!["a".into(), "b".into()],
        history: vec![(start - Duration::from_secs(10), Some(0))],
        down: vec![false; 2],
        endpoint: 1,
    };
    let pattern = InstancePattern::parse("?.abc123.us-east-2.rds.amazonaws.com").expect("a pattern");
    let mut monitor = Monitor::new(Knowledge::discovering(Naming { pattern, port: 5432 }), RATES, start);
    assert_eq!(monitor.due(start), [Target::Endpoint]);

    let answer = simulation.answer(1, start, &mut random);
    let answered = start + Duration::from_millis(1);
    let evidence = Evidence { dialled: Target::Endpoint, asked: start, answered, answer };
    let (verdict, _) = monitor.answered(&evidence, 0.5);

    assert_eq!(verdict, Verdict::Reader);
    let snapshot = monitor.snapshot(start);
    assert!(snapshot.writer().is_none(), "a table is a hint only");
    assert_eq!(snapshot.instance("B").expect("is listed").role(), Some(Role::Reader));
    let asked: Vec<_> = monitor.due(answered).iter().filter_map(|target| target.id().cloned()).collect();
    assert_eq!(asked, ["b".into(), "a".into()] as [Arc<str>; 2]);
}
