//! The state of a cell and its decisions at a given time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::flight::{Flight, Outcome};
use crate::{
    clock::distance,
    fetch_error::FetchError,
    lease::{EXPIRY_BUFFER, Generation},
    stats::RenewingStats,
};

/// A value is renewed no earlier than this before its end.
const LONGEST_REFRESH_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The bounds between which a refresh window is drawn, as shares of the lifetime.
const SHARES: [u32; 2] = [15, 25];
/// The pause between fetches while a value is near its expiry.
const NEAR_END_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

pub(super) struct State<V, E> {
    pub(super) held: Option<Held<V>>,
    pub(super) flight: Option<Arc<Flight<V, E>>>,
    /// The number of consecutive fetches without a better value, and when the last one ended.
    failures: u32,
    tried_at: Option<SystemTime>,
    pub(super) stats: RenewingStats,
}

pub(super) struct Held<V> {
    pub(super) generation: Arc<Generation<V>>,
    /// The start of its refresh window, drawn once.
    renew_after: Duration,
    /// The start of its expiry buffer: from then on callers wait for a better value.
    wait_from: Option<SystemTime>,
}

impl<V> Held<V> {
    /// `draw` is from 0 to 1.
    fn new(generation: Arc<Generation<V>>, draw: f64) -> Self {
        let (life, end) = (generation.life, generation.expires_at());
        // A lifetime this long already has the longest window, and no multiplication below can
        // overflow.
        let counted = life.min(LONGEST_REFRESH_WINDOW * 100 / SHARES[1]);
        let [least, most] = SHARES.map(|share| counted * share / 100);
        let mut window = least + (most - least).mul_f64(draw);
        // A value of a few minutes has a smaller buffer, so that it too is renewed before a caller
        // waits.
        let buffer = EXPIRY_BUFFER.min(life / 4);
        if end.is_some() {
            // Leaves a renewal at least 15 s before callers wait; for a life below 150 s, a quarter
            // of it.
            window = window.max((EXPIRY_BUFFER + 3 * NEAR_END_PAUSE).min(life / 2));
        }
        // The buffer is a part of the lifetime, so this is never before the issue.
        let wait_from = end.map(|end| end - buffer);
        Self { generation, renew_after: life.saturating_sub(window), wait_from }
    }

    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        // A clock that was set back does not make a value young.
        distance(self.generation.issued_at(), now) >= self.renew_after
    }

    pub(super) fn is_near_end(&self, now: SystemTime) -> bool {
        self.wait_from.is_some_and(|from| from <= now)
    }
}

impl<V, E> State<V, E> {
    pub(super) fn new() -> Self {
        Self { held: None, flight: None, failures: 0, tried_at: None, stats: RenewingStats::default() }
    }

    pub(super) fn unexpired(&self, now: SystemTime) -> Option<&Arc<Generation<V>>> {
        self.held.as_ref().map(|held| &held.generation).filter(|held| !held.is_expired(now))
    }

    /// Returns whether it is too early after the last fetch for another.
    pub(super) fn is_resting(&self, now: SystemTime, held: &Generation<V>) -> bool {
        let backoff = match self.failures.checked_sub(1) {
            Some(doublings) => Duration::from_secs(1 << doublings.min(31)).min(LONGEST_BACKOFF),
            None => Duration::ZERO,
        };
        let pause = if held.is_outside_buffer(now) { backoff } else { backoff.max(NEAR_END_PAUSE) };
        // A clock set back ends the pause, which would otherwise last as long as the jump.
        self.tried_at.is_some_and(|tried_at| tried_at <= now && distance(tried_at, now) < pause)
    }

    /// Stores the value of a flight, or counts a failure. Returns the outcome, and the values to be
    /// dropped outside the lock.
    pub(super) fn settle(
        &mut self,
        fetched: Outcome<V, E>,
        replaces: bool,
        draw: f64,
        now: SystemTime,
    ) -> (Outcome<V, E>, Option<Arc<Generation<V>>>) {
        let unexpired = self.unexpired(now);
        let serves = unexpired.is_some();
        let is_better = |made: &Generation<V>| match (made.expires_at(), unexpired) {
            (Some(end), Some(held)) => replaces || held.expires_at().is_none_or(|held| held < end),
            _ => true,
        };
        let is_stored = fetched.as_ref().is_ok_and(|made| is_better(made));
        self.tried_at = Some(now);
        // Without an unexpired value there is no back-off: the next caller fetches at once.
        self.failures = if serves && !is_stored { self.failures.saturating_add(1) } else { 0 };
        match fetched {
            Ok(made) if is_stored => {
                let former = self.held.replace(Held::new(Arc::clone(&made), draw));
                (Ok(made), former.map(|former| former.generation))
            }
            Ok(made) => (Err(FetchError::NotExtended), Some(made)),
            Err(error) => {
                self.stats.renewals_failed += u64::from(serves);
                self.stats.fetches_failed += u64::from(!serves);
                (Err(error), None)
            }
        }
    }
}
