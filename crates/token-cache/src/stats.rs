//! What a cache and a cell count of their own work.

/// What a [`Cache`](crate::Cache) has done since it was built.
///
/// The counters are read one after another while others go on counting, so sums across them are
/// close, not exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Entries removed because the cache was full, the expired ones included.
    pub evicted: u64,
    /// Calls answered from the cache.
    pub hits: u64,
    /// Values dropped because they were refused.
    pub invalidated: u64,
    /// Values made, the ones that were not stored included.
    pub made: u64,
    /// Calls that found no value they could use.
    pub misses: u64,
    /// Calls that waited for a value that another call was making.
    pub waits: u64,
}

/// What a [`Renewing`](crate::Renewing) has done since it was built.
///
/// The counters are read all at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewingStats {
    /// Fetches that were started.
    pub fetches: u64,
    /// Fetches that failed while there was no unexpired value; those that a `clear` overtook are
    /// not counted.
    pub fetches_failed: u64,
    /// Calls answered at once with the unexpired value.
    pub hits: u64,
    /// Calls that had to wait for a fetch.
    pub misses: u64,
    /// Fetches that failed while the unexpired value went on serving.
    pub renewals_failed: u64,
    /// Calls answered with the unexpired value after waiting for a better one that did not come.
    pub stale_served: u64,
    /// Calls that waited for a fetch that another call had started.
    pub waits: u64,
}
