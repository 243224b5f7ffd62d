//! Counters that can be read without a metrics stack.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use token_cache::{CacheStats, RenewingStats};

use crate::refusals::distance;

/// The number of logins in a second that may be throttled: a single caller makes fewer, a filling
/// pool more.
const MANY: usize = 5;

/// The counters of an [`IamTokenProvider`](crate::IamTokenProvider).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Attempts to load credentials from their source.
    pub credentials_calls: u64,
    /// Calls that had to wait for credentials to be loaded.
    pub credentials_waits: u64,
    /// Tokens handed out of the cache.
    pub hits: u64,
    /// When a server last accepted a token, as reported.
    pub last_accepted: Option<SystemTime>,
    /// Logins that a server refused, as reported.
    pub logins_refused: u64,
    /// Calls that found no usable token in the cache.
    pub misses: u64,
    /// Renewals that failed while unexpired credentials stayed in use.
    pub renewals_failed: u64,
    /// Logins retried with a new token, as reported.
    pub retries: u64,
    /// Tokens signed.
    pub signed: u64,
    /// Logins that a server throttled, as reported.
    pub throttled: u64,
    /// Callers that joined another caller's load of credentials.
    pub waits: u64,
}

/// The counters kept here; the caches count the rest.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    misses: AtomicU64,
    retries: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    last_accepted: Mutex<Option<SystemTime>>,
    latest: Mutex<VecDeque<SystemTime>>,
}

impl Counters {
    pub(crate) fn missed(&self) {
        // Relaxed, as all counters here: no other memory depends on them.
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, now: SystemTime) {
        self.ended(now);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttled(&self, now: SystemTime) {
        self.ended(now);
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether enough logins for throttling ended within the last second.
    pub(crate) fn are_many(&self, now: SystemTime) -> bool {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &SystemTime| distance(*at, now) <= Duration::from_secs(1);
        latest.iter().filter(|at| is_recent(at)).count() >= MANY
    }

    fn ended(&self, now: SystemTime) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // The oldest of five tells whether all five ended within a second.
        latest.truncate(MANY - 1);
        latest.push_front(now);
    }

    pub(crate) fn accepted(&self, now: SystemTime) {
        self.ended(now);
        *self.last_accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    pub(crate) fn snapshot(&self, tokens: CacheStats, credentials: RenewingStats) -> Stats {
        Stats {
            credentials_calls: credentials.fetches,
            credentials_waits: credentials.misses,
            hits: tokens.hits,
            last_accepted: *self.last_accepted.lock().unwrap_or_else(PoisonError::into_inner),
            logins_refused: self.refused.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            renewals_failed: credentials.renewals_failed,
            retries: self.retries.load(Ordering::Relaxed),
            signed: tokens.made,
            throttled: self.throttled.load(Ordering::Relaxed),
            waits: credentials.waits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_logins_within_a_second_are_many_however_they_end() {
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 + millis);
        let counters = Counters::default();
        counters.accepted(at(0));
        counters.refused(at(250));
        counters.throttled(at(500));
        counters.accepted(at(750));
        assert!(!counters.are_many(at(750)), "four");

        counters.accepted(at(1_000));

        assert!(counters.are_many(at(1_000)), "five, the first of them a second ago");
        assert!(!counters.are_many(at(1_001)), "the first is older now");
    }
}
