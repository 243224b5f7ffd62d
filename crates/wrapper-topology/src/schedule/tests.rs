//! When a monitor asks next.

use std::slice::from_ref;

use host_pattern::InstancePattern;
use wrapper_core::Role;

use super::*;
use crate::{
    answer::{Answer, Row},
    knowledge::{Evidence, Naming},
};

const RATES: Rates = Rates { refresh: Duration::from_secs(30), high: Duration::from_millis(100) };

fn later(now: Instant, millis: u64) -> Instant {
    now + Duration::from_millis(millis)
}

/// Lets an instance of the cluster `a`, `b` answer, of which `a` is the writer.
fn answer(knowledge: &mut Knowledge, dialled: Target, id: &str, role: Role, asked: Instant) {
    let row = |id: &str| Row { id: id.into(), is_writer: id == "a", cpu: None, lag: None, updated: None };
    let answer = Answer {
        id: id.into(),
        is_writer: role == Role::Writer,
        is_read_only: role == Role::Reader,
        rows: vec![row("a"), row("b")],
    };
    knowledge.answered(&Evidence { dialled, asked, answered: later(asked, 1), answer });
}

fn at(knowledge: &Knowledge, id: &str) -> Target {
    knowledge.member(id).expect("is listed").dialled()
}

/// A schedule whose cluster is known, and that is quiet.
fn quiet() -> (Schedule, Knowledge, Instant) {
    let start = Instant::now();
    let pattern = InstancePattern::parse("?.abc123.us-east-2.rds.amazonaws.com").expect("a pattern");
    let mut knowledge = Knowledge::discovering(Naming { pattern, port: 5432 });
    let mut schedule = Schedule::new(RATES, start);
    assert_eq!(schedule.due(start, &knowledge), [Target::Endpoint]);
    answer(&mut knowledge, Target::Endpoint, "a", Role::Writer, start);
    schedule.done(&Target::Endpoint, PollOutcome::Answered, later(start, 1), 0.5);
    let a = at(&knowledge, "a");
    assert_eq!(schedule.due(later(start, 1), &knowledge), from_ref(&a), "by its own name from now on");
    assert_eq!(schedule.mode(later(start, 1)), Mode::Fast);
    schedule.done(&a, PollOutcome::Answered, later(start, 2), 0.5);
    // The reader was heard, too.
    let (b, asked) = (at(&knowledge, "b"), later(start, 2));
    answer(&mut knowledge, b, "b", Role::Reader, asked);
    let now = later(start, 31_000);
    schedule.used(now);
    assert_eq!(schedule.mode(now), Mode::Quiet);
    (schedule, knowledge, now)
}

#[test]
fn quiet_monitor_asks_one_reader() {
    let (mut schedule, knowledge, now) = quiet();
    let b = at(&knowledge, "b");

    assert_eq!(schedule.due(now, &knowledge), from_ref(&b));
    assert!(schedule.due(now, &knowledge).is_empty(), "one question at a time");
    schedule.done(&b, PollOutcome::Answered, now, 0.5);
    assert_eq!(schedule.wake_at(now, &knowledge), later(now, 30_000));
}

#[test]
fn without_a_refresh_rate_no_instance_is_queried() {
    let (mut schedule, knowledge, now) = quiet();
    schedule.rates.refresh = Duration::ZERO;

    assert!(schedule.due(now, &knowledge).is_empty());
    assert!(schedule.suspect(now, &knowledge));
    assert_eq!(schedule.due(now, &knowledge).len(), 2);
}

#[test]
fn suspicion_asks_all_until_the_writer_is_verified_and_then_the_writer() {
    let (mut schedule, mut knowledge, now) = quiet();
    let (a, b) = (at(&knowledge, "a"), at(&knowledge, "b"));
    schedule.due(now, &knowledge);

    assert!(schedule.suspect(now, &knowledge));
    assert_eq!(schedule.due(now, &knowledge), from_ref(&a), "the other is asked already");
    answer(&mut knowledge, a.clone(), "a", Role::Writer, later(now, 1));
    schedule.done(&a, PollOutcome::Answered, later(now, 2), 0.5);
    schedule.done(&b, PollOutcome::Answered, later(now, 2), 0.5);

    assert!(schedule.due(later(now, 3), &knowledge).is_empty());
    assert_eq!(schedule.mode(later(now, 3)), Mode::Fast);
    assert_eq!(schedule.due(later(now, 102), &knowledge), [a]);
}

#[test]
fn suspicion_that_came_to_nothing_blocks_the_next() {
    let (mut schedule, mut knowledge, mut now) = quiet();
    for blocked in [5, 10, 20, 40, 60, 60] {
        assert!(schedule.suspect(now, &knowledge), "after {blocked}");
        schedule.due(now, &knowledge);
        let a = at(&knowledge, "a");
        answer(&mut knowledge, a.clone(), "a", Role::Writer, later(now, 1));
        schedule.done(&a, PollOutcome::Answered, later(now, 2), 0.5);
        now = later(now, 2);
        schedule.due(now, &knowledge);

        assert!(!schedule.suspect(later(now, blocked * 1_000 - 1), &knowledge), "{blocked}");
        now = later(now, blocked * 1_000);
    }
}

#[test]
fn lost_writer_is_looked_for_whatever_is_blocked() {
    let (mut schedule, mut knowledge, now) = quiet();
    schedule.blocked_until = Some(later(now, 60_000));
    let a = at(&knowledge, "a");

    knowledge.failed(&a, now, later(now, 1));

    assert_eq!(schedule.due(later(now, 1), &knowledge).len(), 2);
    assert_eq!(schedule.mode(later(now, 1)), Mode::Doubt);
}

#[test]
fn connects_that_fail_back_off() {
    let (mut schedule, knowledge, now) = quiet();
    let (a, high) = (at(&knowledge, "a"), Duration::from_millis(100));
    schedule.suspect(now, &knowledge);
    let mut pauses = |asked, count: usize| -> Vec<u128> {
        let next = |schedule: &mut Schedule| {
            schedule.done(&a, asked, now, 0.5);
            schedule.lanes.iter().find(|lane| lane.target == a).expect("has one").next - now
        };
        schedule.done(&a, PollOutcome::Answered, now, 0.5);
        (0..count).map(|_| next(&mut schedule).as_millis()).collect()
    };

    assert_eq!(pauses(PollOutcome::Failed, 6), [100, 200, 400, 800, 1_000, 1_000]);
    assert_eq!(pauses(PollOutcome::Refused, 10)[8..], [25_600, 30_000], "a login is not hammered");
    assert_eq!(pauses(PollOutcome::Answered, 1), [high.as_millis()]);
}

#[test]
fn monitor_without_connects_is_idle() {
    let (mut schedule, _, now) = quiet();

    assert!(!schedule.is_idle(later(now, 15 * 60_000 - 1)));
    assert!(schedule.is_idle(later(now, 15 * 60_000)));
    schedule.used(later(now, 1));
    assert!(!schedule.is_idle(later(now, 15 * 60_000)));
}

#[test]
fn suspicion_ends_the_pauses_between_queries() {
    let (mut schedule, knowledge, now) = quiet();
    let (a, b) = (at(&knowledge, "a"), at(&knowledge, "b"));
    assert_eq!(schedule.due(now, &knowledge), from_ref(&b));
    schedule.done(&b, PollOutcome::Answered, now, 0.5);

    assert!(schedule.suspect(later(now, 1), &knowledge));

    assert_eq!(schedule.due(later(now, 1), &knowledge), [a, b]);
}

/// Starts a suspicion that ends with the answer of this writer, and returns when.
fn suspicion_ends(schedule: &mut Schedule, knowledge: &mut Knowledge, writer: &str, now: Instant) -> Instant {
    assert!(schedule.suspect(now, knowledge));
    schedule.due(now, knowledge);
    let target = at(knowledge, writer);
    answer(knowledge, target.clone(), writer, Role::Writer, later(now, 1));
    schedule.done(&target, PollOutcome::Answered, later(now, 2), 0.5);
    schedule.due(later(now, 2), knowledge);
    assert_eq!(schedule.mode(later(now, 2)), Mode::Fast);
    later(now, 2)
}

#[test]
fn block_restarts_after_a_founded_suspicion_and_after_a_quiet_time() {
    let (mut schedule, mut knowledge, now) = quiet();
    let now = suspicion_ends(&mut schedule, &mut knowledge, "a", now);
    let now = suspicion_ends(&mut schedule, &mut knowledge, "a", later(now, 5_000));
    assert!(!schedule.suspect(later(now, 9_999), &knowledge));

    // A founded one blocks nothing.
    let now = later(now, 10_000);
    assert!(schedule.suspect(now, &knowledge));
    let a = at(&knowledge, "a");
    answer(&mut knowledge, a, "a", Role::Reader, later(now, 1));
    let now = suspicion_ends(&mut schedule, &mut knowledge, "b", later(now, 2));
    let now = suspicion_ends(&mut schedule, &mut knowledge, "b", later(now, 1));
    assert!(!schedule.suspect(later(now, 4_999), &knowledge));

    // Nor does what was long ago.
    let now = suspicion_ends(&mut schedule, &mut knowledge, "b", later(now, 5_000));
    let now = suspicion_ends(&mut schedule, &mut knowledge, "b", later(now, 10_000 + 5 * 60_000 + 1));
    assert!(!schedule.suspect(later(now, 4_999), &knowledge));
    assert!(schedule.suspect(later(now, 5_000), &knowledge));
}

#[test]
fn monitor_wakes_when_a_mode_ends() {
    let (mut schedule, knowledge, now) = quiet();
    schedule.rates.refresh = Duration::ZERO;
    assert_eq!(schedule.wake_at(later(now, 60_000), &knowledge), now + IDLE);

    schedule.fast_until = Some(later(now, 90_000));
    schedule.lanes.clear();
    assert_eq!(schedule.wake_at(later(now, 60_000), &knowledge), later(now, 90_000));
}
