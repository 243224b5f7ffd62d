//! The state of a cell and its decisions at a given time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::flight::Flight;
use crate::{
    expiring::End,
    lease::{EXPIRY_BUFFER, Generation},
    time::{distance, span},
};

/// A value is renewed no earlier than this before its end.
const LONGEST_REFRESH_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The shares of a life, in parts of a whole, from which its refresh window is drawn.
const SHARES: [u32; 2] = [15, 25];
/// How often a value near its end is asked for again.
const NEAR_END_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

pub(super) struct State<V, E> {
    held: Option<Held<V>>,
    flight: Option<Arc<Flight<V, E>>>,
    /// Someone has a `Renewal` that drives the flight.
    is_claimed: bool,
    /// Someone needs what the flight brings even if that does not outlive the value held by then: a
    /// caller who was refused with it, or one who found none.
    replaces: bool,
    /// Fetches in a row that brought nothing better, and when the last fetch ended.
    failures: u32,
    tried_at: Option<SystemTime>,
    last_id: u64,
    pub(super) hits: u64,
}

struct Held<V> {
    generation: Arc<Generation<V>>,
    /// The age from which it is renewed, drawn once.
    renew_after: Duration,
    /// From then on callers wait for a better one.
    wait_from: Option<SystemTime>,
}

/// The result of a lookup.
pub(super) enum Lookup<V> {
    /// An unexpired value, and nothing to do.
    Serve(Arc<Generation<V>>),
    /// An unexpired value whose renewal is due and not yet run by anyone.
    Renew(Arc<Generation<V>>),
    /// Nothing to serve without waiting; there may be an unexpired value near its end.
    Wait { has_unexpired: bool },
}

impl<V> Held<V> {
    /// `draw` is from 0 to 1.
    fn new(generation: Arc<Generation<V>>, draw: f64) -> Self {
        let issued_at = generation.issued_at();
        let (life, end) = match generation.end() {
            End::At(end) => (span(issued_at, end), Some(end)),
            End::Never(renew_after) => (renew_after, None),
        };
        // A life as long as this has the longest window at most, and no multiplication below can
        // overflow.
        let counted = life.min(LONGEST_REFRESH_WINDOW * 100 / SHARES[1]);
        let [least, most] = SHARES.map(|share| counted * share / 100);
        let mut window = least + (most - least).mul_f64(draw);
        // Values of a few minutes have a smaller buffer, so that theirs too are renewed before
        // anybody waits.
        let buffer = EXPIRY_BUFFER.min(life / 4);
        if end.is_some() {
            window = window.max((EXPIRY_BUFFER + 3 * NEAR_END_PAUSE).min(life / 2));
        }
        // The buffer is a part of the life, so this is no earlier than the issue.
        let wait_from = end.map(|end| end - buffer);
        Self { generation, renew_after: life.saturating_sub(window), wait_from }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        // A clock that was set back does not make a value young.
        distance(self.generation.issued_at(), now) >= self.renew_after
    }

    fn is_near_end(&self, now: SystemTime) -> bool {
        self.wait_from.is_some_and(|from| from <= now)
    }
}

impl<V, E> State<V, E> {
    pub(super) fn new() -> Self {
        Self {
            held: None,
            flight: None,
            is_claimed: false,
            replaces: false,
            failures: 0,
            tried_at: None,
            last_id: 0,
            hits: 0,
        }
    }

    /// Returns an identity that no other value or flight of this cell has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn unexpired(&self, now: SystemTime) -> Option<&Arc<Generation<V>>> {
        self.held.as_ref().map(|held| &held.generation).filter(|held| !held.end().is_past(now))
    }

    /// Looks for a value that is not the refused generation, which is replaced whatever its age and
    /// the back-off.
    pub(super) fn look(&self, refused: Option<u64>, now: SystemTime, limit: Duration) -> Lookup<V> {
        let Some(held) = self.held.as_ref().filter(|held| !held.generation.end().is_past(now)) else {
            return Lookup::Wait { has_unexpired: false };
        };
        let generation = || Arc::clone(&held.generation);
        match refused {
            Some(refused) if refused == held.generation.id() => {
                return Lookup::Wait { has_unexpired: false };
            }
            Some(_) => return Lookup::Serve(generation()),
            None => {}
        }
        let is_near_end = held.is_near_end(now);
        if !is_near_end && !held.is_due(now) {
            return Lookup::Serve(generation());
        }
        match self.flight.as_ref().filter(|flight| !flight.is_overdue(now, limit)) {
            None if self.is_resting(now, held.generation.is_outside_buffer(now)) => {
                Lookup::Serve(generation())
            }
            _ if is_near_end => Lookup::Wait { has_unexpired: true },
            Some(_) if self.is_claimed => Lookup::Serve(generation()),
            _ => Lookup::Renew(generation()),
        }
    }

    /// Returns whether it is too early after the last fetch for another.
    fn is_resting(&self, now: SystemTime, is_outside_buffer: bool) -> bool {
        let backoff = match self.failures.checked_sub(1) {
            Some(doublings) => Duration::from_secs(1 << doublings.min(31)).min(LONGEST_BACKOFF),
            None => Duration::ZERO,
        };
        let pause = if is_outside_buffer { backoff } else { backoff.max(NEAR_END_PAUSE) };
        // A clock that was set back ends the pause, which would else last for as long as the jump.
        self.tried_at.is_some_and(|tried_at| tried_at <= now && span(tried_at, now) < pause)
    }

    /// Returns the flight to wait for, if there is one that is not overdue; one that is is put
    /// aside, to be dropped outside the lock.
    pub(super) fn under_way(
        &mut self,
        now: SystemTime,
        limit: Duration,
        aside: &mut Option<Arc<Flight<V, E>>>,
    ) -> Option<&Arc<Flight<V, E>>> {
        if self.flight.as_ref().is_some_and(|flight| flight.is_overdue(now, limit)) {
            *aside = self.flight.take();
        }
        self.flight.as_ref()
    }

    pub(super) fn start(&mut self, flight: &Arc<Flight<V, E>>) {
        self.flight = Some(Arc::clone(flight));
        (self.is_claimed, self.replaces) = (false, false);
    }

    pub(super) fn claim(&mut self) {
        self.is_claimed = true;
    }

    pub(super) fn release(&mut self, flight: u64) {
        if self.flight.as_ref().is_some_and(|current| current.id == flight) {
            self.is_claimed = false;
        }
    }

    pub(super) fn replace(&mut self, replaces: bool) {
        self.replaces |= replaces;
    }

    /// Takes a flight that has ended out of its place; `false` if it was replaced or cleared
    /// meanwhile.
    pub(super) fn take(&mut self, flight: u64) -> bool {
        // This is never the last reference: the waiter that ends the flight holds one.
        self.flight.take_if(|current| current.id == flight).is_some()
    }

    /// Returns whether what a flight brought is to be stored.
    pub(super) fn is_better(&self, made: &Generation<V>, now: SystemTime) -> bool {
        self.replaces
            || self.unexpired(now).is_none_or(|held| match (made.end(), held.end()) {
                (End::At(made), End::At(held)) => made > held,
                _ => true,
            })
    }

    /// Holds a value and returns what it replaces, to be dropped outside the lock.
    pub(super) fn store(
        &mut self,
        generation: Arc<Generation<V>>,
        draw: f64,
        now: SystemTime,
    ) -> impl Sized + use<V, E> {
        self.failures = 0;
        self.tried_at = Some(now);
        self.held.replace(Held::new(generation, draw))
    }

    /// Notes that no better value came, and returns whether an unexpired one goes on serving.
    pub(super) fn fail(&mut self, now: SystemTime) -> bool {
        let serves = self.unexpired(now).is_some();
        // Without an unexpired value nobody is made to wait for the next try.
        self.failures = if serves { self.failures.saturating_add(1) } else { 0 };
        self.tried_at = Some(now);
        serves
    }

    /// Empties the cell and returns what it held, to be dropped outside the lock.
    ///
    /// Without a value there is no back-off, and the next one that is stored ends it.
    pub(super) fn clear(&mut self) -> impl Sized + use<V, E> {
        (self.held.take(), self.flight.take())
    }
}
