//! What a cell is expected to do, step by step.

use super::*;

/// A value is known by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) value: u32,
    pub(super) issued_at: i64,
    pub(super) life: i64,
}

impl Value {
    pub(super) const ENDLESS_LIFE: i64 = 900;

    pub(super) fn end(&self) -> Option<i64> {
        (self.life > 0).then_some(self.issued_at + self.life)
    }

    pub(super) fn lives(&self, now: i64) -> bool {
        self.end().is_none_or(|end| now < end)
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        // A window of 20 %, of an hour at most, in fifths of a second so that whole numbers do.
        let window = match self.life {
            0 => Self::ENDLESS_LIFE,
            life => life.min(3_600).max((5 * 75).min(5 * life / 2)),
        };
        let life = if self.life == 0 { Self::ENDLESS_LIFE } else { self.life };
        5 * (now - self.issued_at).abs() >= 5 * life - window
    }

    pub(super) fn is_near_end(&self, now: i64) -> bool {
        self.end().is_some_and(|end| end - now <= 60.min(self.life / 4))
    }

    pub(super) fn outlives(&self, other: &Self) -> bool {
        match (self.end(), other.end()) {
            (Some(own), Some(other)) => own > other,
            _ => true,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) result: Result<u32, &'static str>,
    pub(super) was_orphan: bool,
}

pub(super) struct Attempt {
    pub(super) started_at: i64,
    /// The call whose fetch it is, and whether that still waits for it.
    pub(super) call: usize,
    pub(super) has_starter: bool,
    pub(super) answer: Option<Result<Value, &'static str>>,
    pub(super) ended: Option<Ended>,
}

#[derive(Clone, Copy)]
pub(super) struct InFlight {
    pub(super) attempt: usize,
    pub(super) is_claimed: bool,
    pub(super) replaces: bool,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) held: Option<Value>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) failures: u32,
    pub(super) tried_at: Option<i64>,
    pub(super) renewals_failed: u64,
    pub(super) fetches_failed: u64,
}

pub(super) enum Answered {
    Serve(u32, bool),
    Wait { attempt: usize, has_unexpired: bool },
}

impl Model {
    pub(super) fn unexpired(&self) -> Option<Value> {
        self.held.filter(|held| held.lives(self.now))
    }

    pub(super) fn is_resting(&self, held: &Value) -> bool {
        let backoff = [0, 1, 2, 4, 8, 16, 30][self.failures.min(6) as usize];
        let is_late = held.end().is_some_and(|end| end - self.now <= 60);
        let pause = if is_late { backoff.max(5) } else { backoff };
        self.tried_at.is_some_and(|tried_at| (tried_at..tried_at + pause).contains(&self.now))
    }

    pub(super) fn current(&self) -> Option<InFlight> {
        self.in_flight.filter(|it| (self.attempts[it.attempt].started_at - self.now).abs() < 10)
    }

    pub(super) fn join(&mut self, call: usize) -> &mut InFlight {
        if self.current().is_none() {
            self.attempts.push(Attempt {
                started_at: self.now,
                call,
                has_starter: true,
                answer: None,
                ended: None,
            });
            let attempt = self.attempts.len() - 1;
            self.in_flight = Some(InFlight { attempt, is_claimed: false, replaces: false });
        }
        self.in_flight.as_mut().unwrap()
    }

    pub(super) fn fetch(&mut self, call: usize) -> Answered {
        let unexpired = self.unexpired();
        if let Some(unexpired) = unexpired {
            let flight = self.current();
            let is_near_end = unexpired.is_near_end(self.now);
            let is_idle = flight.is_none() && self.is_resting(&unexpired);
            let is_taken = flight.is_some_and(|flight| flight.is_claimed);
            let is_settled = !is_near_end && !unexpired.is_due(self.now);
            if is_settled || is_idle || (!is_near_end && is_taken) {
                return Answered::Serve(unexpired.value, false);
            }
            if !is_near_end {
                self.join(call).is_claimed = true;
                return Answered::Serve(unexpired.value, true);
            }
        }
        let flight = self.join(call);
        flight.replaces |= unexpired.is_none();
        Answered::Wait { attempt: flight.attempt, has_unexpired: unexpired.is_some() }
    }

    /// Notes that a renewal is no more.
    pub(super) fn release(&mut self, attempt: usize) {
        if let Some(flight) = self.in_flight.as_mut().filter(|flight| flight.attempt == attempt) {
            flight.is_claimed = false;
        }
    }

    /// Notes that a call no longer waits for an attempt.
    pub(super) fn leave(&mut self, attempt: usize, call: usize) {
        if self.attempts[attempt].call == call {
            self.attempts[attempt].has_starter = false;
        }
    }

    /// What a poll of an attempt gives.
    pub(super) fn drive(&mut self, number: usize) -> Option<Ended> {
        let attempt = &self.attempts[number];
        if attempt.ended.is_some() {
            return attempt.ended;
        }
        let was_orphan = !attempt.has_starter;
        let answer = match attempt.answer {
            None if self.now < attempt.started_at + 10 => return None,
            None => Err("timed out"),
            Some(Ok(value)) if !value.lives(self.now) => Err("expired"),
            Some(answer) => answer,
        };
        let mut result = answer.map(|value| value.value);
        if let Some(flight) = self.in_flight.take_if(|flight| flight.attempt == number) {
            let unexpired = self.unexpired();
            self.tried_at = Some(self.now);
            match answer {
                Ok(value) if flight.replaces || unexpired.is_none_or(|it| value.outlives(&it)) => {
                    self.held = Some(value);
                    self.failures = 0;
                }
                _ => {
                    self.failures = if unexpired.is_some() { self.failures + 1 } else { 0 };
                    match (result, unexpired) {
                        (Ok(_), _) => result = Err("not extended"),
                        (Err(_), Some(_)) => self.renewals_failed += 1,
                        (Err(_), None) => self.fetches_failed += 1,
                    }
                }
            }
        }
        self.attempts[number].ended = Some(Ended { result, was_orphan });
        self.attempts[number].ended
    }

    /// What a poll of a waiter gives, which may go on to another attempt.
    pub(super) fn settle(&mut self, waiter: &mut Waiter) -> Option<Expected> {
        loop {
            let Ended { result, was_orphan } = self.drive(waiter.attempt)?;
            self.leave(waiter.attempt, waiter.call);
            // An answer of the source is one to all; a panic or silence may come of a starter that
            // is gone.
            let may_be_gone = was_orphan && matches!(result, Err("panicked" | "timed out"));
            let replaces =
                may_be_gone && waiter.may_replace && waiter.kind != Kind::Renewal && !waiter.is_starter;
            waiter.may_replace &= !replaces;
            match (result, waiter.kind) {
                (Err(_), Kind::Get { .. }) if replaces => match self.fetch(waiter.call) {
                    Answered::Serve(value, is_claimed) => {
                        waiter.is_claimed = is_claimed;
                        return Some(Ok((value, false)));
                    }
                    Answered::Wait { attempt, has_unexpired } => {
                        waiter.kind = Kind::Get { has_unexpired };
                        self.settle_on(waiter, attempt);
                    }
                },
                (Err(_), Kind::Refetch { refused }) if replaces => {
                    if let Some(other) = self.unexpired().filter(|unexpired| unexpired.value != refused) {
                        return Some(Ok((other.value, false)));
                    }
                    let flight = self.join(waiter.call);
                    flight.replaces = true;
                    let attempt = flight.attempt;
                    self.settle_on(waiter, attempt);
                }
                (Ok(value), _) => return Some(Ok((value, true))),
                (Err(error), Kind::Get { has_unexpired: true }) => {
                    return Some(self.unexpired().map(|unexpired| (unexpired.value, false)).ok_or(error));
                }
                (Err(error), _) => return Some(Err(error)),
            }
        }
    }

    pub(super) fn settle_on(&self, waiter: &mut Waiter, attempt: usize) {
        waiter.attempt = attempt;
        waiter.is_starter = self.attempts[attempt].call == waiter.call;
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Get { has_unexpired: bool },
    Refetch { refused: u32 },
    Renewal,
}

pub(super) struct Waiter {
    pub(super) attempt: usize,
    pub(super) call: usize,
    pub(super) is_starter: bool,
    /// It has not yet taken over from a starter that was gone.
    pub(super) may_replace: bool,
    pub(super) kind: Kind,
    /// The model expects a renewal to come with the answer.
    pub(super) is_claimed: bool,
    pub(super) future: Pin<Box<dyn Future<Output = Asked>>>,
}
