//! The map of slots.

mod evict;

use std::{
    borrow::Borrow,
    convert::Infallible,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::{
    builder::CacheBuilder,
    context::Context,
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Lease,
    slot::{Renewal, Slot, make_unstored},
    stats::Stats,
};

/// A bounded cache of expiring values `V` under keys `K`, whose fetches fail with `E`.
///
/// Clones are cheap and share everything. One cache may serve both kinds of calls, those that make a value in place
/// and those that fetch it, also for the same key.
///
/// Keys can be looked up in borrowed form (a `&str` for a `String`), and a hit allocates nothing. They are hashed by
/// [foldhash](https://docs.rs/foldhash), which is quicker than the standard library's hasher and holds out less well against
/// someone who chooses keys so that they collide.
pub struct Cache<K, V, E = Infallible> {
    inner: Arc<Inner<K, V, E>>,
}

struct Inner<K, V, E> {
    context: Arc<Context>,
    slots: DashMap<K, Slot<V, E>, RandomState>,
    evicting: Mutex<()>,
    /// The number of slots above which the next pass of eviction runs.
    full_above: AtomicUsize,
}

impl<K: Eq + Hash, V, E> Cache<K, V, E> {
    /// Returns a builder, which needs a clock and has defaults for the rest.
    pub fn builder() -> CacheBuilder<K, V, E> {
        CacheBuilder::new()
    }

    pub(crate) fn new(context: Arc<Context>) -> Self {
        let full_above = AtomicUsize::new(context.limits.capacity);
        Self {
            inner: Arc::new(Inner {
                context,
                slots: DashMap::default(),
                evicting: Mutex::new(()),
                full_above,
            }),
        }
    }

    /// Begins a new epoch: drops all values, and what is being made or fetched at this moment will not be stored.
    ///
    /// Callers that wait for such a fetch still get its outcome; a call that comes later starts another.
    pub fn clear(&self) {
        let mut retired = Vec::new();
        self.inner.slots.retain(|_, slot| {
            retired.push(slot.clear());
            slot.is_in_use()
        });
        // Values are dropped only here, because their `Drop` may look into the cache.
        drop(retired);
    }

    /// Returns how many values the cache holds, the expired ones included; counts them one by one.
    pub fn len(&self) -> usize {
        self.inner.slots.iter().filter(|slot| slot.holds_value()).count()
    }

    /// Returns whether the cache holds no value.
    pub fn is_empty(&self) -> bool {
        !self.inner.slots.iter().any(|slot| slot.holds_value())
    }

    /// Returns the counters; asks the entries one by one for their hits.
    pub fn stats(&self) -> Stats {
        // In this order no hit counts twice where an entry goes meanwhile.
        let mut stats = self.inner.context.counters.snapshot();
        stats.hits += self.inner.slots.iter().map(|slot| slot.hits()).sum::<u64>();
        stats
    }
}

impl<K, V, E> Cache<K, V, E>
where
    K: Eq + Hash,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Returns the value of `key` if it may be used, and counts a miss otherwise.
    ///
    /// It may be used while it is younger than `max_age` and more than the margin away from its expiry. A value
    /// issued more than a second from now was issued by a clock that has since been set back, and may not be used.
    pub fn get<Q>(&self, key: &Q, max_age: Duration) -> Option<Lease<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let now = self.inner.context.now();
        let lease = self.inner.slots.get(key).and_then(|slot| slot.usable(now, max_age));
        if lease.is_none() {
            self.inner.context.counters.misses.one();
        }
        lease
    }

    /// Returns the value of `key` if it may be used, else makes one and stores it.
    ///
    /// For values that cost little, such as a signature. When a value may be used is said at [`get`](Self::get);
    /// `max_age` bounds what this call takes and is not stored. With a `max_age` of zero every call makes a value
    /// and none is stored. A value made within the margin of its expiry is returned and not stored.
    ///
    /// At most one caller at a time makes a value for a key. The others block their threads until it is done and then
    /// use it if they may, so `make` should neither wait nor do I/O. While it runs it may use the cache for other keys;
    /// for its own key it would wait for itself for ever.
    ///
    /// # Errors
    ///
    /// Returns the error of `make`, to its own caller only: the next one in line makes its own attempt.
    ///
    /// # Panics
    ///
    /// Passes a panic of `make` on to its caller, and leaves the key usable for the others.
    pub fn get_or_insert_with<Q, F>(
        &self,
        key: &Q,
        max_age: Duration,
        make: impl FnOnce() -> Result<Expiring<V>, F>,
    ) -> Result<Lease<V>, F>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if max_age.is_zero() {
            return make_unstored(&self.inner.context, make);
        }
        let now = self.inner.context.now();
        if let Some(lease) = self.inner.slots.get(key).and_then(|slot| slot.usable(now, max_age)) {
            return Ok(lease);
        }
        self.slot(key).get_or_insert_with(max_age, make)
    }

    /// Returns the living value of `key`, or waits for the one fetch that all callers of that key share.
    ///
    /// For values that cost much, such as credentials. What a caller gets depends on the life of the value:
    ///
    /// - Before its lead, which begins 15–25 % of its life before its expiry: the value, at once.
    /// - Within the lead: the value, at once. One caller also gets a [`Renewal`] to run beside its own work.
    /// - Within the margin, the last 60 s: the outcome of one reload that callers wait for; if that fails and the
    ///   value is still valid, the value.
    /// - Without a value, or with an expired one: the outcome of one fetch that callers wait for.
    ///
    /// While a value lives, a fetch that fails or does not extend the expiry starts a back-off of 1 s, doubled by each
    /// further failure up to 30 s. During it the value is served at once and nothing is fetched.
    ///
    /// `fetch` is called, and its future polled, by whichever of the waiting callers is scheduled. It is given up after
    /// the fetch timeout, and replaced by the next caller when it is older than 30 s. The clock's `sleep_until` is
    /// called by the same caller.
    ///
    /// # Errors
    ///
    /// Returns what the fetch failed with, the same to all that waited for it, if there is no living value. The next
    /// call starts a new fetch.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it on.
    pub async fn get_or_fetch<Q, F, Fut>(
        &self,
        key: &Q,
        fetch: F,
    ) -> Result<(Lease<V>, Option<Renewal<V, E>>), FetchError<E>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.inner.context.now();
        if let Some(lease) = self.inner.slots.get(key).and_then(|slot| slot.served(now)) {
            return Ok((lease, None));
        }
        let slot = self.slot(key);
        slot.get_or_fetch(fetch).await
    }

    /// Returns a value of `key` of another generation than `than`, for callers to whom that one has been refused.
    ///
    /// If the cache already holds a living value of another generation, that is it, so that any number of refused
    /// callers cost one fetch. Else all wait for one fetch, whatever the back-off says, and what it brings is stored
    /// even if it expires no later.
    ///
    /// # Errors
    ///
    /// Returns what the fetch failed with. The living value, if any, stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it on.
    pub async fn refetch<Q, F, Fut>(
        &self,
        key: &Q,
        than: &Lease<V>,
        fetch: F,
    ) -> Result<Lease<V>, FetchError<E>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let slot = self.slot(key);
        slot.refetch(than, fetch).await
    }

    /// Returns the place of `key`, for callers that ask for the same key again and again.
    pub fn slot<Q>(&self, key: &Q) -> Slot<V, E>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(slot) = self.inner.slots.get(key) {
            return slot.clone();
        }
        let new = || Slot::new(Arc::clone(&self.inner.context));
        let slot = self.inner.slots.entry(key.to_owned()).or_insert_with(new).clone();
        if self.inner.is_full() {
            self.inner.make_room();
        }
        slot
    }
}

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Eq + Hash, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .field("limits", &self.inner.context.limits)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
