//! Random histories of one key against a plain model, in whole seconds.

use std::{panic::AssertUnwindSafe, pin::Pin, task::Poll};

use proptest::prelude::*;
use token_cache::{Expiring, FetchError, Lease, ManualClock, Renewal};

use crate::support::*;

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Fail,
    Panic,
    Value { life: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Answer { attempt: usize, outcome: Outcome },
    Back(u64),
    Clear,
    DropRenewal(usize),
    DropWaiter(usize),
    Fetch,
    Forward(u64),
    Get { max_age: u64 },
    Make { max_age: u64, outcome: Outcome },
    PollAll,
    Refetch { than: usize },
    Reject { lease: usize },
    RunRenewal(usize),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => prop::sample::select(vec![30, 61, 100, 400, 900, 2000]).prop_map(|life| Outcome::Value { life }),
        2 => Just(Outcome::Fail),
        1 => Just(Outcome::Panic),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let max_age = || prop::sample::select(vec![0, 1, 60, 300, 5000]);
    prop_oneof![
        6 => (0..3_usize, outcome()).prop_map(|(attempt, outcome)| Step::Answer { attempt, outcome }),
        2 => prop_oneof![0..4_u64, 0..600_u64].prop_map(Step::Back),
        1 => Just(Step::Clear),
        2 => any::<usize>().prop_map(Step::DropRenewal),
        2 => any::<usize>().prop_map(Step::DropWaiter),
        8 => Just(Step::Fetch),
        8 => prop_oneof![0..12_u64, 0..60_u64, 0..600_u64].prop_map(Step::Forward),
        2 => max_age().prop_map(|max_age| Step::Get { max_age }),
        2 => (max_age(), outcome()).prop_map(|(max_age, outcome)| Step::Make { max_age, outcome }),
        4 => Just(Step::PollAll),
        2 => any::<usize>().prop_map(|than| Step::Refetch { than }),
        1 => any::<usize>().prop_map(|lease| Step::Reject { lease }),
        4 => any::<usize>().prop_map(Step::RunRenewal),
    ]
}

/// What a call is expected to return: a value and whether it is fresh, or the kind of an error.
type Expected = Result<(u32, bool), &'static str>;
type Returned = Result<Lease<u32>, FetchError<Failure>>;

#[derive(Clone, Copy, Debug)]
struct Value {
    value: u32,
    issued_at: i64,
    expires_at: i64,
}

impl Value {
    /// A value is known by its number. Its lead is 20 %, in fifths of a second so that whole numbers do.
    fn is_before_lead(&self, now: i64) -> bool {
        let left = self.expires_at - now;
        left > 60 && 5 * left > self.expires_at - self.issued_at
    }

    fn is_usable(&self, now: i64, max_age: u64) -> bool {
        max_age > 0
            && now >= self.issued_at - 1
            && now < (self.issued_at + max_age as i64).min(self.expires_at - 60)
    }
}

struct Attempt {
    started_at: i64,
    answer: Option<Result<Value, &'static str>>,
    result: Option<Result<u32, &'static str>>,
}

#[derive(Clone, Copy)]
struct InFlight {
    attempt: usize,
    is_claimed: bool,
    replaces: bool,
}

#[derive(Default)]
struct Model {
    now: i64,
    held: Option<Value>,
    in_flight: Option<InFlight>,
    attempts: Vec<Attempt>,
    failures: u32,
    failed_at: i64,
    renewals_failed: u64,
    fetches_failed: u64,
}

enum Call {
    Serve(u32, bool),
    Wait(usize, bool),
}

impl Model {
    fn living(&self) -> Option<Value> {
        self.held.filter(|held| self.now < held.expires_at)
    }

    fn is_backing_off(&self) -> bool {
        let wait =
            [0, 1, 2, 4, 8, 16][self.failures.min(5) as usize].max(if self.failures > 5 { 30 } else { 0 });
        (self.failed_at..self.failed_at + wait).contains(&self.now)
    }

    fn join(&mut self) -> &mut InFlight {
        let now = self.now;
        let attempts = &mut self.attempts;
        let is_stuck = |flight: &InFlight| (attempts[flight.attempt].started_at - now).abs() > 30;
        if self.in_flight.as_ref().is_none_or(is_stuck) {
            attempts.push(Attempt { started_at: now, answer: None, result: None });
            let attempt = attempts.len() - 1;
            self.in_flight = Some(InFlight { attempt, is_claimed: false, replaces: false });
        }
        self.in_flight.as_mut().unwrap()
    }

    fn fetch(&mut self) -> Call {
        let living = self.living();
        if let Some(living) = living {
            let flight =
                self.in_flight.filter(|it| (self.attempts[it.attempt].started_at - self.now).abs() <= 30);
            let is_near_end = living.expires_at - self.now <= 60;
            let is_idle = flight.is_none() && self.is_backing_off();
            let is_taken = flight.is_some_and(|flight| flight.is_claimed);
            if living.is_before_lead(self.now) || is_idle || (!is_near_end && is_taken) {
                return Call::Serve(living.value, false);
            }
            if !is_near_end {
                self.join().is_claimed = true;
                return Call::Serve(living.value, true);
            }
        }
        let flight = self.join();
        flight.replaces |= living.is_none();
        Call::Wait(flight.attempt, living.is_some())
    }

    fn release(&mut self, attempt: usize) {
        if let Some(flight) = self.in_flight.as_mut().filter(|flight| flight.attempt == attempt) {
            flight.is_claimed = false;
        }
    }

    fn store(&mut self, value: Value) {
        self.held = Some(value);
        self.failures = 0;
    }

    /// What a poll of an attempt gives.
    fn drive(&mut self, number: usize) -> Option<Result<u32, &'static str>> {
        let attempt = &self.attempts[number];
        if attempt.result.is_some() {
            return attempt.result;
        }
        let answer = match attempt.answer {
            None if self.now < attempt.started_at + 10 => return None,
            None => Err("timed out"),
            Some(Ok(value)) if value.expires_at <= self.now => Err("expired"),
            Some(answer) => answer,
        };
        let mut result = answer.map(|value| value.value);
        if let Some(flight) = self.in_flight.take_if(|flight| flight.attempt == number) {
            let living = self.living();
            match answer {
                Ok(value) if flight.replaces || living.is_none_or(|it| value.expires_at > it.expires_at) => {
                    self.store(value);
                }
                _ if living.is_some() => {
                    self.failures += 1;
                    self.failed_at = self.now;
                    self.renewals_failed += 1;
                    result = result.and(Err("not extended"));
                }
                _ => {
                    self.failures = 0;
                    self.fetches_failed += 1;
                }
            }
        }
        self.attempts[number].result = Some(result);
        Some(result)
    }

    fn settle(&mut self, waiter: &Waiter) -> Option<Expected> {
        let result = self.drive(waiter.attempt)?;
        if waiter.kind == Kind::Renewal {
            self.release(waiter.attempt);
        }
        Some(match (result, self.living()) {
            (Ok(value), _) => Ok((value, true)),
            (Err(_), Some(living)) if waiter.kind == Kind::Fallback => Ok((living.value, false)),
            (Err(error), _) => Err(error),
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Falls back on the living value.
    Fallback,
    Plain,
    Renewal,
}

struct Waiter {
    attempt: usize,
    kind: Kind,
    future: Pin<Box<dyn Future<Output = Returned>>>,
}

/// The cache, the model, and what the callers hold.
struct Run {
    clock: ManualClock,
    cache: TestCache,
    source: Source,
    model: Model,
    values: u32,
    waiters: Vec<Waiter>,
    renewals: Vec<(usize, Renewal<u32, Failure>)>,
    leases: Vec<Lease<u32>>,
}

fn pick<T>(list: &[T], index: usize) -> Option<usize> {
    index.checked_rem(list.len())
}

fn kind(error: &FetchError<Failure>) -> &'static str {
    match error {
        FetchError::Expired(_) => "expired",
        FetchError::Failed(_) => "failed",
        FetchError::NotExtended => "not extended",
        FetchError::Panicked => "panicked",
        FetchError::TimedOut(limit) if *limit == secs(10) => "timed out",
        other => panic!("{other:?}"),
    }
}

impl Run {
    fn new() -> Self {
        let clock = clock();
        Self {
            cache: cache(&clock),
            clock,
            source: Source::default(),
            model: Model::default(),
            values: 0,
            waiters: Vec::new(),
            renewals: Vec::new(),
            leases: Vec::new(),
        }
    }

    fn value(&mut self, life: u64) -> (Value, Expiring<u32>) {
        self.values += 1;
        let now = self.model.now;
        let value = Value { value: self.values, issued_at: now, expires_at: now + life as i64 };
        (value, living(&self.clock, self.values, life))
    }

    fn compare(&mut self, returned: Returned, expected: Expected) {
        let returned = returned.map(|lease| {
            let seen = (*lease.value(), lease.is_fresh());
            self.leases.push(lease);
            seen
        });
        assert_eq!(returned.as_ref().map_err(kind), expected.as_ref().map_err(|error| *error));
    }

    /// Polls the waiter at `index`, which leaves the list if it is done.
    fn poll(&mut self, index: usize) -> bool {
        let expected = self.model.settle(&self.waiters[index]);
        match (poll_once(&mut self.waiters[index].future), expected) {
            (Poll::Pending, None) => false,
            (Poll::Ready(returned), Some(expected)) => {
                drop(self.waiters.remove(index));
                self.compare(returned, expected);
                true
            }
            (polled, expected) => panic!("{polled:?}, expected {expected:?}"),
        }
    }

    fn wait(&mut self, attempt: usize, kind: Kind, future: impl Future<Output = Returned> + 'static) {
        self.waiters.push(Waiter { attempt, kind, future: Box::pin(future) });
        self.poll(self.waiters.len() - 1);
    }

    fn fetch(&mut self) {
        let (cache, source, number) = (self.cache.clone(), self.source.clone(), self.model.attempts.len());
        let call = async move { cache.get_or_fetch(KEY, move || source.answered(number)).await };
        match self.model.fetch() {
            Call::Serve(value, is_claimed) => {
                let (lease, renewal) = finish(call).unwrap();
                assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_some()), (value, false, is_claimed));
                self.leases.push(lease);
                let attempt = self.model.in_flight.map(|flight| flight.attempt);
                self.renewals.extend(renewal.map(|renewal| (attempt.unwrap(), renewal)));
            }
            Call::Wait(attempt, has_living) => {
                let kind = if has_living { Kind::Fallback } else { Kind::Plain };
                self.wait(attempt, kind, async move {
                    let (lease, renewal) = call.await?;
                    assert!(renewal.is_none());
                    Ok(lease)
                });
            }
        }
    }

    fn refetch(&mut self, than: usize) {
        let Some(than) = pick(&self.leases, than).map(|index| self.leases[index].clone()) else { return };
        let (cache, source, number) = (self.cache.clone(), self.source.clone(), self.model.attempts.len());
        let refused = *than.value();
        let call = async move { cache.refetch(KEY, &than, move || source.answered(number)).await };
        if let Some(other) = self.model.living().filter(|living| living.value != refused) {
            return self.compare(finish(call), Ok((other.value, false)));
        }
        let flight = self.model.join();
        flight.replaces = true;
        let attempt = flight.attempt;
        self.wait(attempt, Kind::Plain, call);
    }

    fn make(&mut self, max_age: u64, outcome: Outcome) {
        let usable = self.model.held.filter(|held| held.is_usable(self.model.now, max_age));
        let made = match outcome {
            Outcome::Value { life } => Some(self.value(life)),
            _ => None,
        };
        let expected = match (usable, &made) {
            (Some(held), _) => Some((held.value, false)),
            (None, made) => made.as_ref().map(|(made, _)| (made.value, true)),
        };
        if let (None, Some((made, _))) = (usable, &made)
            && max_age > 0
            && made.expires_at - self.model.now > 60
        {
            self.model.store(*made);
        }
        let is_panic = matches!(outcome, Outcome::Panic);
        let call = AssertUnwindSafe(|| {
            self.cache.get_or_insert_with(KEY, secs(max_age), || match made {
                Some((_, made)) => Ok(made),
                None if is_panic => std::panic::resume_unwind(Box::new("make")),
                None => Err(()),
            })
        });
        let lease = std::panic::catch_unwind(call).unwrap_or(Err(())).ok();
        assert_eq!(lease.as_ref().map(|lease| (*lease.value(), lease.is_fresh())), expected);
        self.leases.extend(lease);
    }

    fn answer(&mut self, age: usize, outcome: Outcome) {
        let Some(number) = self.model.attempts.len().checked_sub(age + 1) else { return };
        if self.model.attempts[number].answer.is_some() {
            return;
        }
        let (answer, expected) = match outcome {
            Outcome::Fail => (Answer::Fail("down".into()), Err("failed")),
            Outcome::Panic => (Answer::Panic, Err("panicked")),
            Outcome::Value { life } => {
                let (value, made) = self.value(life);
                (Answer::Value(made), Ok(value))
            }
        };
        self.model.attempts[number].answer = Some(expected);
        self.source.answer(number, answer);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Answer { attempt, outcome } => self.answer(attempt, outcome),
            Step::Back(by) => {
                self.clock.set(self.clock.now() - secs(by));
                self.model.now -= by as i64;
            }
            Step::Clear => {
                self.cache.clear();
                (self.model.held, self.model.in_flight, self.model.failures) = (None, None, 0);
            }
            Step::DropRenewal(index) => {
                if let Some(index) = pick(&self.renewals, index) {
                    let (attempt, _) = self.renewals.remove(index);
                    self.model.release(attempt);
                }
            }
            Step::DropWaiter(index) => {
                if let Some(index) = pick(&self.waiters, index) {
                    let waiter = self.waiters.remove(index);
                    if waiter.kind == Kind::Renewal {
                        self.model.release(waiter.attempt);
                    }
                }
            }
            Step::Fetch => self.fetch(),
            Step::Forward(by) => {
                self.clock.advance(secs(by));
                self.model.now += by as i64;
            }
            Step::Get { max_age } => {
                let found = self.cache.get(KEY, secs(max_age));
                let held = self.model.held.filter(|held| held.is_usable(self.model.now, max_age));
                assert_eq!(found.as_ref().map(|lease| *lease.value()), held.map(|held| held.value));
                self.leases.extend(found);
            }
            Step::Make { max_age, outcome } => self.make(max_age, outcome),
            Step::PollAll => {
                let mut index = 0;
                while index < self.waiters.len() {
                    index += usize::from(!self.poll(index));
                }
            }
            Step::Refetch { than } => self.refetch(than),
            Step::Reject { lease } => {
                if let Some(index) = pick(&self.leases, lease) {
                    let value = *self.leases[index].value();
                    let expected = self.model.held.take_if(|held| held.value == value).is_some();
                    assert_eq!(self.leases[index].reject(), expected);
                }
            }
            Step::RunRenewal(index) => {
                if let Some(index) = pick(&self.renewals, index) {
                    let (attempt, renewal) = self.renewals.remove(index);
                    self.wait(attempt, Kind::Renewal, renewal.run());
                }
            }
        }
        let stats = self.cache.stats();
        assert_eq!(stats.fetches, self.model.attempts.len() as u64);
        assert_eq!(stats.renewals_failed, self.model.renewals_failed);
        assert_eq!(stats.fetches_failed, self.model.fetches_failed);
        assert_eq!(self.cache.len(), usize::from(self.model.held.is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cache_behaves_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.step(step));
    }
}
