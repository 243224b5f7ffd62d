//! Random histories of one cell against a plain model, in whole seconds.

mod reference;

use std::{pin::Pin, task::Poll};

use proptest::prelude::*;
use token_cache::{Expiring, FetchError, Lease, ManualClock, Renewal, Served};

use self::reference::{Answered, Kind, Model, Value, Waiter};
use crate::support::*;

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Fail,
    Panic,
    /// A life of zero is one without an end.
    Value {
        life: u64,
    },
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
    PollAll,
    Refetch { than: usize },
    RunRenewal(usize),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => prop::sample::select(vec![0, 30, 60, 100, 400, 900, 8000])
            .prop_map(|life| Outcome::Value { life }),
        2 => Just(Outcome::Fail),
        1 => Just(Outcome::Panic),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, outcome()).prop_map(|(attempt, outcome)| Step::Answer { attempt, outcome }),
        2 => prop_oneof![0..4_u64, 0..600_u64].prop_map(Step::Back),
        1 => Just(Step::Clear),
        2 => any::<usize>().prop_map(Step::DropRenewal),
        2 => any::<usize>().prop_map(Step::DropWaiter),
        8 => Just(Step::Fetch),
        8 => prop_oneof![0..12_u64, 0..60_u64, 0..600_u64].prop_map(Step::Forward),
        4 => Just(Step::PollAll),
        2 => any::<usize>().prop_map(|than| Step::Refetch { than }),
        4 => any::<usize>().prop_map(Step::RunRenewal),
    ]
}

/// What a call is expected to return: a value and whether it is fresh, or the kind of an error.
type Expected = Result<(u32, bool), &'static str>;
type Returned = Result<Lease<u32>, FetchError<Failure>>;
type Asked = Result<Served<u32, Failure>, FetchError<Failure>>;

/// A renewal that is not run yet: its attempt, and the call that it came from.
struct Offer {
    attempt: usize,
    call: usize,
    renewal: Renewal<u32, Failure>,
}

/// The cell, the model, and what the callers hold.
struct Run {
    clock: ManualClock,
    cell: TestCell,
    source: Source,
    model: Model,
    values: u32,
    calls: usize,
    waiters: Vec<Waiter>,
    offers: Vec<Offer>,
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
            cell: cell(&clock),
            clock,
            source: Source::default(),
            model: Model::default(),
            values: 0,
            calls: 0,
            waiters: Vec::new(),
            offers: Vec::new(),
            leases: Vec::new(),
        }
    }

    fn compare(&mut self, returned: Returned, expected: Expected) {
        let returned = returned.map(|lease| {
            let seen = (*lease.value(), lease.is_fresh());
            self.leases.push(lease);
            seen
        });
        assert_eq!(returned.as_ref().map_err(kind), expected.as_ref().map_err(|error| *error));
    }

    fn offer(&mut self, call: usize, renewal: Option<Renewal<u32, Failure>>) {
        let attempt = self.model.in_flight.map(|flight| flight.attempt);
        self.offers.extend(renewal.map(|renewal| Offer { attempt: attempt.unwrap(), call, renewal }));
    }

    /// Polls the waiter at `index`, which leaves the list if it is done.
    fn poll(&mut self, index: usize) -> bool {
        let expected = self.model.settle(&mut self.waiters[index]);
        match (poll_once(&mut self.waiters[index].future), expected) {
            (Poll::Pending, None) => false,
            (Poll::Ready(returned), Some(expected)) => {
                let waiter = self.waiters.remove(index);
                if waiter.kind == Kind::Renewal {
                    self.model.release(waiter.attempt);
                }
                let (lease, renewal) = match returned {
                    Ok((lease, renewal)) => (Ok(lease), renewal),
                    Err(error) => (Err(error), None),
                };
                assert_eq!(renewal.is_some(), waiter.is_claimed);
                self.offer(waiter.call, renewal);
                self.compare(lease, expected);
                true
            }
            (polled, expected) => panic!("{polled:?}, expected {expected:?}"),
        }
    }

    fn wait(
        &mut self,
        attempt: usize,
        call: usize,
        kind: Kind,
        future: impl Future<Output = Result<(Lease<u32>, Option<Renewal<u32, Failure>>), FetchError<Failure>>>
        + 'static,
    ) {
        let is_starter = self.model.attempts[attempt].call == call;
        let future = Box::pin(future);
        self.waiters.push(Waiter {
            attempt,
            call,
            is_starter,
            may_replace: true,
            kind,
            is_claimed: false,
            future,
        });
        self.poll(self.waiters.len() - 1);
    }

    fn fetch(&mut self) {
        self.calls += 1;
        let (cell, source, call) = (self.cell.clone(), self.source.clone(), self.calls);
        let asks = async move { cell.get(move || source.answered(call)).await };
        match self.model.fetch(call) {
            Answered::Serve(value, is_claimed) => {
                let (lease, renewal) = finish(asks).unwrap();
                assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_some()), (value, false, is_claimed));
                self.leases.push(lease);
                self.offer(call, renewal);
            }
            Answered::Wait { attempt, has_unexpired } => {
                self.wait(attempt, call, Kind::Get { has_unexpired }, asks);
            }
        }
    }

    fn refetch(&mut self, than: usize) {
        let Some(than) = pick(&self.leases, than).map(|index| self.leases[index].clone()) else { return };
        self.calls += 1;
        let (cell, source, call) = (self.cell.clone(), self.source.clone(), self.calls);
        let refused = *than.value();
        let asks = async move { Ok((cell.refetch(&than, move || source.answered(call)).await?, None)) };
        if let Some(other) = self.model.unexpired().filter(|unexpired| unexpired.value != refused) {
            let returned = finish(asks).map(|(lease, _)| lease);
            return self.compare(returned, Ok((other.value, false)));
        }
        let flight = self.model.join(call);
        flight.replaces = true;
        let attempt = flight.attempt;
        self.wait(attempt, call, Kind::Refetch { refused }, asks);
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
                self.values += 1;
                let value = Value { value: self.values, issued_at: self.model.now, life: life as i64 };
                let made = match life {
                    0 => Expiring::without_end(self.values, self.clock.now(), secs(900)),
                    life => unexpired(&self.clock, self.values, life),
                };
                (Answer::Value(made), Ok(value))
            }
        };
        self.model.attempts[number].answer = Some(expected);
        self.source.answer(self.model.attempts[number].call, answer);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Answer { attempt, outcome } => self.answer(attempt, outcome),
            Step::Back(by) => {
                self.clock.set(self.clock.now() - secs(by));
                self.model.now -= by as i64;
            }
            Step::Clear => {
                self.cell.clear();
                (self.model.held, self.model.in_flight) = (None, None);
                (self.model.failures, self.model.tried_at) = (0, None);
            }
            Step::DropRenewal(index) => {
                if let Some(index) = pick(&self.offers, index) {
                    let Offer { attempt, call, .. } = self.offers.remove(index);
                    self.model.release(attempt);
                    self.model.leave(attempt, call);
                }
            }
            Step::DropWaiter(index) => {
                if let Some(index) = pick(&self.waiters, index) {
                    let Waiter { attempt, call, kind, .. } = self.waiters.remove(index);
                    if kind == Kind::Renewal {
                        self.model.release(attempt);
                    }
                    self.model.leave(attempt, call);
                }
            }
            Step::Fetch => self.fetch(),
            Step::Forward(by) => {
                self.clock.advance(secs(by));
                self.model.now += by as i64;
            }
            Step::PollAll => {
                let mut index = 0;
                while index < self.waiters.len() {
                    index += usize::from(!self.poll(index));
                }
            }
            Step::Refetch { than } => self.refetch(than),
            Step::RunRenewal(index) => {
                if let Some(index) = pick(&self.offers, index) {
                    let Offer { attempt, call, renewal } = self.offers.remove(index);
                    let runs = async move { renewal.run().await.map(|lease| (lease, None)) };
                    self.wait(attempt, call, Kind::Renewal, runs);
                }
            }
        }
        let stats = self.cell.stats();
        assert_eq!(stats.fetches, self.model.attempts.len() as u64);
        assert_eq!(stats.renewals_failed, self.model.renewals_failed);
        assert_eq!(stats.fetches_failed, self.model.fetches_failed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cell_behaves_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.step(step));
    }
}
