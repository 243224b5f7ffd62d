//! Counters that can be read without a metrics stack.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use token_cache::RenewingStats;

/// What one [`SecretProvider`](crate::SecretProvider) has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretStats {
    /// Secrets handed out without a call of the service.
    pub hits: u64,
    /// When a server last accepted the secret, as reported.
    pub last_accepted: Option<SystemTime>,
    /// Loads of the secret; the SDK may repeat a call of the service that fails.
    pub loads: u64,
    /// Loads without a living secret that failed.
    pub loads_failed: u64,
    /// Logins that a server refused, as reported.
    pub logins_refused: u64,
    /// Renewals of a living secret that failed, so that it went on serving.
    pub renewals_failed: u64,
    /// Logins tried once more, as reported.
    pub retries: u64,
    /// Loads that brought another user or password than the one before.
    pub rotations: u64,
    /// Callers that waited for a load that another had asked for.
    pub waits: u64,
}

/// What is counted here; the cell counts the rest.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    refused: AtomicU64,
    retries: AtomicU64,
    rotations: AtomicU64,
    last_accepted: Mutex<Option<SystemTime>>,
}

impl Counters {
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rotated(&self) {
        self.rotations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self, now: SystemTime) {
        *self.last_accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

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
