//! Settings.

use std::{fmt, marker::PhantomData, ops::RangeInclusive, sync::Arc, time::Duration};

use crate::{
    cache::Cache,
    clock::Clock,
    context::{Context, Limits},
    error::Error,
};

/// Collects the settings of a [`Cache`]; only the clock has no default.
pub struct CacheBuilder<K, V, E> {
    clock: Option<Arc<dyn Clock>>,
    limits: Limits,
    builds: Builds<Cache<K, V, E>>,
}

/// Stays `Send` and `Sync` whatever is built.
type Builds<T> = PhantomData<fn() -> T>;

impl<K, V, E> CacheBuilder<K, V, E> {
    pub(crate) fn new() -> Self {
        Self {
            clock: None,
            limits: Limits {
                backoff: Duration::from_secs(1)..=Duration::from_secs(30),
                capacity: 10_000,
                fetch_timeout: Duration::from_secs(10),
                margin: Duration::from_secs(60),
                renew_ahead: 15..=25,
                stuck_after: Duration::from_secs(30),
            },
            builds: PhantomData,
        }
    }

    /// Sets the clock, which is required.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets how many entries the cache holds, 10,000 by default.
    ///
    /// When a new key finds the cache full, the expired entries go, then those that expire first, until a tenth is
    /// free. Entries that a call or a [`Slot`](crate::Slot) is using at that moment stay, so the bound can be passed by
    /// their number.
    pub fn capacity(mut self, entries: usize) -> Self {
        self.limits.capacity = entries;
        self
    }

    /// Sets how long before its expiry a value stops being lent without a look for a better one, 60 s by default.
    ///
    /// A value made by [`get_or_insert_with`](Cache::get_or_insert_with) is made again from then on; for one fetched by
    /// [`get_or_fetch`](Cache::get_or_fetch) callers wait for a reload from then on.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.limits.margin = margin;
        self
    }

    /// Sets how long a fetch may take, 10 s by default.
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.limits.fetch_timeout = limit;
        self
    }

    /// Sets the age beyond which a fetch that nobody has driven to its end is replaced, 30 s by default.
    ///
    /// Must not be shorter than the fetch timeout.
    pub fn stuck_after(mut self, age: Duration) -> Self {
        self.limits.stuck_after = age;
        self
    }

    /// Sets how long before its expiry a fetched value is renewed, in percent of its life, `15..=25` by default.
    ///
    /// The share is drawn once per value, so that processes started together do not renew together.
    pub fn renew_ahead(mut self, percent: RangeInclusive<u8>) -> Self {
        self.limits.renew_ahead = percent;
        self
    }

    /// Sets the wait after the first failed renewal and the longest one, 1 s and 30 s by default.
    ///
    /// Each failure in a row doubles the wait.
    pub fn backoff(mut self, waits: RangeInclusive<Duration>) -> Self {
        self.limits.backoff = waits;
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// Fails without a clock, and for settings that contradict themselves or each other; see
    /// [`ErrorKind`](crate::ErrorKind).
    pub fn build(self) -> Result<Cache<K, V, E>, Error>
    where
        K: Eq + std::hash::Hash,
    {
        let clock = self.clock.ok_or_else(Error::clock)?;
        let Limits { backoff, capacity, fetch_timeout, renew_ahead, stuck_after, .. } = &self.limits;
        if *capacity == 0 {
            return Err(Error::capacity());
        }
        if backoff.start().is_zero() || backoff.is_empty() {
            return Err(Error::backoff(format!(
                "back-off from {:?} to {:?} is no range: begin above zero and end no earlier",
                backoff.start(),
                backoff.end()
            )));
        }
        if renew_ahead.is_empty() || *renew_ahead.end() > 100 {
            return Err(Error::renew_ahead(format!(
                "lead from {} to {} percent is no share of a life: give a range within 0..=100",
                renew_ahead.start(),
                renew_ahead.end()
            )));
        }
        if fetch_timeout.is_zero() || stuck_after < fetch_timeout {
            return Err(Error::timeout(format!(
                "fetch timeout {fetch_timeout:?} does not fit: give one above zero and at most {stuck_after:?}, the \
                 age at which a fetch is replaced"
            )));
        }
        Ok(Cache::new(Arc::new(Context::new(clock, self.limits))))
    }
}

impl<K, V, E> fmt::Debug for CacheBuilder<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder").field("clock", &self.clock).field("limits", &self.limits).finish()
    }
}
