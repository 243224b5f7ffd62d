//! The counters of a cache and a cell.

/// The counters of a [`Cache`](crate::Cache) since it was built.
///
/// The counters are read one after another while others go on counting, so sums across them are
/// close, not exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Entries removed because the cache was full, including expired ones.
    pub evicted: u64,
    /// Calls answered from the cache.
    pub hits: u64,
    /// Values dropped because they were refused.
    pub invalidated: u64,
    /// Values made, including those that were not stored.
    pub made: u64,
    /// Calls that found no usable value.
    pub misses: u64,
    /// Calls that waited while another call made the value.
    pub waits: u64,
}

/// The counters of a [`Renewing`](crate::Renewing) since it was built.
///
/// The counters are read all at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewingStats {
    /// Fetches that were started.
    pub fetches: u64,
    /// Fetches that failed without an unexpired value, except those that `clear` made obsolete.
    pub fetches_failed: u64,
    /// Calls answered at once with the unexpired value.
    pub hits: u64,
    /// Calls that had to wait for a fetch.
    pub misses: u64,
    /// Fetches that failed while an unexpired value stayed in use.
    pub renewals_failed: u64,
    /// Calls answered with the unexpired value after a wait for a better one failed.
    pub stale_served: u64,
    /// Calls that joined a fetch started by another call.
    pub waits: u64,
}
