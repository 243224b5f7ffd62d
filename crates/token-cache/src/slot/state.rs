//! What a slot holds, and what follows from it at a given moment.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::flight::Flight;
use crate::{
    context::{Context, Limits},
    lease::Generation,
    time::span,
};

pub(super) struct State<V, E> {
    held: Option<Arc<Generation<V>>>,
    pub(super) flight: Option<Flight<V, E>>,
    /// Renewals that failed in a row, and when the last one did.
    failures: u32,
    failed_at: Option<SystemTime>,
    epoch: u64,
    /// Here and not beside the other counters, because a hit has locked this anyway.
    pub(super) hits: u64,
}

/// What a caller that wants a fetched value finds.
pub(super) enum Look<V> {
    /// A living value, and nothing to do.
    Serve(Arc<Generation<V>>),
    /// A living value whose renewal is due and not yet run by anyone.
    Renew(Arc<Generation<V>>),
    /// Nothing to serve without waiting; there may be a living value near its end.
    Wait { has_living: bool },
}

impl<V, E> State<V, E> {
    pub(super) fn new() -> Self {
        Self { held: None, flight: None, failures: 0, failed_at: None, epoch: 0, hits: 0 }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn held_id(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.id())
    }

    pub(super) fn living(&self, now: SystemTime) -> Option<&Arc<Generation<V>>> {
        self.held.as_ref().filter(|held| now < held.expires_at())
    }

    pub(super) fn usable(&self, now: SystemTime, max_age: Duration) -> Option<&Arc<Generation<V>>> {
        self.held.as_ref().filter(|held| held.is_usable(now, max_age))
    }

    pub(super) fn look(&self, now: SystemTime, context: &Context) -> Look<V> {
        let Some(held) = self.living(now) else {
            return Look::Wait { has_living: false };
        };
        if held.is_settled(now) {
            return Look::Serve(Arc::clone(held));
        }
        match self.flight.as_ref().filter(|flight| !flight.is_stuck(now, &context.limits)) {
            None if self.is_backing_off(now, context) => Look::Serve(Arc::clone(held)),
            _ if !held.is_outside_margin(now) => Look::Wait { has_living: true },
            Some(flight) if flight.is_claimed => Look::Serve(Arc::clone(held)),
            _ => Look::Renew(Arc::clone(held)),
        }
    }

    /// A clock set back to before the failure ends the back-off, which would else last for as long as the jump.
    fn is_backing_off(&self, now: SystemTime, context: &Context) -> bool {
        self.failed_at
            .is_some_and(|failed_at| failed_at <= now && span(failed_at, now) < context.delay(self.failures))
    }

    pub(super) fn lives_until(&self, limits: &Limits) -> Option<SystemTime> {
        let held = self.held.as_ref().map(|held| held.expires_at());
        let flight = self
            .flight
            .as_ref()
            .map(|flight| flight.started_at.checked_add(limits.stuck_after).unwrap_or(flight.started_at));
        held.max(flight)
    }

    /// Holds `generation` and returns what it replaces, to be dropped outside the lock.
    pub(super) fn store(&mut self, generation: Arc<Generation<V>>) -> Option<Arc<Generation<V>>> {
        self.end_backoff();
        self.held.replace(generation)
    }

    /// Notes that no better value came, and returns whether a living one goes on serving.
    pub(super) fn fail(&mut self, now: SystemTime) -> bool {
        let serves = self.living(now).is_some();
        if serves {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = Some(now);
        } else {
            self.end_backoff();
        }
        serves
    }

    pub(super) fn reject(&mut self, id: u64) -> Option<Arc<Generation<V>>> {
        self.held.take_if(|held| held.id() == id)
    }

    pub(super) fn clear(&mut self) -> impl Sized + use<V, E> {
        self.epoch += 1;
        self.end_backoff();
        (self.held.take(), self.flight.take())
    }

    fn end_backoff(&mut self) {
        self.failures = 0;
        self.failed_at = None;
    }
}
