//! Counters of a provider.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use token_cache::RenewingStats;

/// Counters of one [`SecretProvider`](crate::SecretProvider).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretStats {
    /// Secrets served without a call of the service.
    pub hits: u64,
    /// When a server last accepted the secret, as reported.
    pub last_accepted: Option<SystemTime>,
    /// Loads of the secret; the SDK may retry failed calls within a load.
    pub loads: u64,
    /// Failed loads without a usable secret.
    pub loads_failed: u64,
    /// Logins that a server refused, as reported.
    pub logins_refused: u64,
    /// Failed renewals, after which the held secret stayed in use.
    pub renewals_failed: u64,
    /// Retried logins, as reported.
    pub retries: u64,
    /// Loads that returned another user or password than the previous one.
    pub rotations: u64,
    /// Callers that waited for another caller's load.
    pub waits: u64,
}

/// The counters kept here; the cell has the others.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    refused: AtomicU64,
    retries: AtomicU64,
    rotations: AtomicU64,
    last_accepted: Mutex<Option<SystemTime>>,
}

impl Counters {
    /// Counts a refused login.
    pub(crate) fn refused(&self) {
        // Relaxed, as all counters here: no other memory depends on them.
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a retried login.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a changed secret.
    pub(crate) fn rotated(&self) {
        self.rotations.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the time of an accepted login.
    pub(crate) fn accepted(&self, now: SystemTime) {
        *self.last_accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Returns these counters with those of the cell.
    pub(crate) fn snapshot(&self, cell: RenewingStats) -> SecretStats {
        SecretStats {
            hits: cell.hits,
            last_accepted: *self.last_accepted.lock().unwrap_or_else(PoisonError::into_inner),
            loads: cell.fetches,
            loads_failed: cell.fetches_failed,
            logins_refused: self.refused.load(Ordering::Relaxed),
            renewals_failed: cell.renewals_failed,
            retries: self.retries.load(Ordering::Relaxed),
            rotations: self.rotations.load(Ordering::Relaxed),
            waits: cell.waits,
        }
    }
}
