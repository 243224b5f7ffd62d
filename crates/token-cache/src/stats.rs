//! Counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a cache has done since it was built, as read by [`Cache::stats`](crate::Cache::stats).
///
/// The counters are read one after another while others go on counting, so sums across them are close, not exact; and the
/// hits of entries that are being evicted may be missing for a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries removed because the cache was full, the expired ones included.
    pub evicted: u64,
    /// Attempts to fetch a value that were started.
    pub fetches: u64,
    /// Attempts that brought nothing while no living value was there; those that a `clear` overtook count nowhere.
    pub fetches_failed: u64,
    /// Calls answered at once from the cache.
    pub hits: u64,
    /// Values made by `get_or_insert_with`, the ones that were not stored included.
    pub made: u64,
    /// Calls that found no value they could use.
    pub misses: u64,
    /// Values dropped because they were rejected.
    pub rejected: u64,
    /// Attempts that brought nothing better while the living value went on serving.
    pub renewals_failed: u64,
    /// Calls answered with the living value after they had waited in vain for a better one.
    pub stale_served: u64,
    /// Calls that waited for what another call had begun.
    pub waits: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) evicted: Counter,
    pub(crate) fetches: Counter,
    pub(crate) fetches_failed: Counter,
    /// Those of slots that are no more; each living one counts its own.
    pub(crate) hits_of_the_gone: Counter,
    pub(crate) made: Counter,
    pub(crate) misses: Counter,
    pub(crate) rejected: Counter,
    pub(crate) renewals_failed: Counter,
    pub(crate) stale_served: Counter,
    pub(crate) waits: Counter,
}

impl Counters {
    /// Reads the counters; the hits of the living slots are still to be added.
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            evicted: self.evicted.value(),
            fetches: self.fetches.value(),
            fetches_failed: self.fetches_failed.value(),
            hits: self.hits_of_the_gone.value(),
            made: self.made.value(),
            misses: self.misses.value(),
            rejected: self.rejected.value(),
            renewals_failed: self.renewals_failed.value(),
            stale_served: self.stale_served.value(),
            waits: self.waits.value(),
        }
    }
}
