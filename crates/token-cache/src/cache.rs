//! The bounded map of values that are made in place.

mod entries;

use std::{
    borrow::Borrow,
    collections::HashSet,
    fmt,
    hash::Hash,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::entries::Entries;
use crate::{
    clock::Clock,
    expiring::Expiring,
    lease::{Generation, Lease, TOLERANCE},
    stats::CacheStats,
    sync::{Condvar, Mutex, lock},
};

/// A bounded cache of expiring values `V` under keys `K`, for values that cost little, such as a
/// signature.
///
/// Clones are cheap and share everything. It is synchronous: no runtime, no timers, no tasks.
///
/// Keys can be looked up in borrowed form (a `&str` for a `String`), and a hit allocates nothing.
/// They are hashed by [foldhash](https://docs.rs/foldhash), which is quicker than the standard
/// library's hasher and holds out less well against someone who chooses keys so that they collide.
///
/// No lock of the map is held while a value or a key is dropped. Keys are compared and hashed under
/// one.
pub struct Cache<K, V> {
    inner: Arc<Inner<K, V>>,
}

struct Inner<K, V> {
    clock: Arc<dyn Clock>,
    capacity: usize,
    entries: Entries<K, V>,
    epoch: AtomicU64,
    /// The counters other than the hits.
    counters: Mutex<CacheStats>,
    /// The hashes of the keys with a value in the making, ...
    making: Mutex<HashSet<u64>>,
    /// ... and the condition that is signalled when one is done.
    made: Condvar,
}

/// The right to make the value of one key; a panic releases it too.
struct Turn<'a, K, V> {
    cache: &'a Inner<K, V>,
    hash: u64,
}

/// A time between two calls of [`Cache::clear`]; see [`Cache::get_or_insert_in`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Creates a cache that holds about 10,000 entries at most.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, 10_000)
    }

    /// Creates a cache of about this many entries at most; with a capacity of 0, every call makes a
    /// new value.
    ///
    /// When the cache is full, a new key evicts the expired entries, then those that expire first,
    /// until a tenth of the capacity is free.
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                capacity,
                entries: Entries::new(),
                epoch: AtomicU64::new(0),
                counters: Mutex::default(),
                making: Mutex::default(),
                made: Condvar::new(),
            }),
        }
    }

    /// Begins a new epoch: drops all values. A value still in the making will not be stored.
    pub fn clear(&self) {
        // The epoch first: what is stored before it is dropped below, what comes after is refused.
        self.inner.epoch.fetch_add(1, Ordering::SeqCst);
        self.inner.entries.clear();
    }

    /// Returns the epoch in which a call is, for [`get_or_insert_in`](Self::get_or_insert_in).
    pub fn epoch(&self) -> Epoch {
        Epoch(self.inner.epoch.load(Ordering::SeqCst))
    }

    /// Returns how many values the cache holds, including expired ones.
    pub fn len(&self) -> usize {
        self.inner.entries.map.len()
    }

    /// Returns whether the cache holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the counters.
    pub fn stats(&self) -> CacheStats {
        CacheStats { hits: self.inner.entries.hits(), ..*lock(&self.inner.counters) }
    }

    /// Returns the value of `key` if it may be used, and counts a miss otherwise.
    ///
    /// It may be used while it is younger than `max_age` and more than 60 s away from its expiry. A
    /// value issued more than a second from now was issued by a clock that has since been set back,
    /// and may not be used.
    pub fn get<Q>(&self, key: &Q, max_age: Duration) -> Option<Lease<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.inner.hit(self.inner.entries.hash(key), key, max_age)
    }

    /// Returns the value of `key` if it may be used, else makes one and stores it.
    ///
    /// [`get`](Self::get) describes when a value may be used; `max_age` bounds what this call takes
    /// and is not stored. With a `max_age` of zero every call makes a value and none is stored. A
    /// value made within 60 s of its expiry is returned and not stored.
    ///
    /// At most one caller at a time makes a value for a key. The others block their threads until
    /// it is done and then use it if they may, so `make` should neither wait nor do I/O. While it
    /// runs it may use the cache for other keys; for its own key it would wait for itself for ever.
    ///
    /// # Errors
    ///
    /// Returns the error of `make`, to its own caller only: the next one in line makes its own
    /// attempt.
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
        self.get_or_insert_in(self.epoch(), key, max_age, make)
    }

    /// As [`get_or_insert_with`](Self::get_or_insert_with), but stores nothing if `epoch` has
    /// ended.
    ///
    /// For callers that got what `make` works with before this call: they ask for the
    /// [`epoch`](Self::epoch) first, so that nothing made of what they got before a
    /// [`clear`](Self::clear) is stored after it.
    ///
    /// # Errors
    ///
    /// Returns the error of `make`.
    ///
    /// # Panics
    ///
    /// Passes a panic of `make` on to its caller, and leaves the key usable for the others.
    pub fn get_or_insert_in<Q, F>(
        &self,
        epoch: Epoch,
        key: &Q,
        max_age: Duration,
        make: impl FnOnce() -> Result<Expiring<V>, F>,
    ) -> Result<Lease<V>, F>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.inner.entries.hash(key);
        match self.inner.hit(hash, key, max_age) {
            Some(hit) => Ok(hit),
            None => self.inner.make_in_turn(epoch, hash, key, max_age, make),
        }
    }

    /// Drops the value of `key` if it is still the very one that was leased, and returns whether it
    /// was.
    ///
    /// When many callers are refused with the same value, only the first call drops it; later calls
    /// leave its replacement alone.
    pub fn invalidate<Q>(&self, key: &Q, refused: &Lease<V>) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let is_refused = |_: &K, held: &Arc<Generation<V>>| held.id == refused.generation();
        let is_removed = self.inner.entries.map.remove_if(key, is_refused).is_some();
        self.inner.count(|counters| counters.invalidated += u64::from(is_removed));
        is_removed
    }
}

impl<K, V> Inner<K, V> {
    /// Adds to the counters, and returns how many values have been made.
    #[cold]
    fn count(&self, add: impl FnOnce(&mut CacheStats)) -> u64 {
        let mut counters = lock(&self.counters);
        add(&mut counters);
        counters.made
    }

    /// Waits for the right to make the value of a key.
    fn turn(&self, hash: u64) -> Turn<'_, K, V> {
        let mut making = lock(&self.making);
        // By hash, which needs no owned key: two keys that collide take turns, too.
        if !making.insert(hash) {
            self.count(|counters| counters.waits += 1);
            let is_taken = |making: &mut HashSet<u64>| !making.insert(hash);
            drop(self.made.wait_while(making, is_taken).unwrap_or_else(PoisonError::into_inner));
        }
        Turn { cache: self, hash }
    }
}

impl<K, V> Drop for Turn<'_, K, V> {
    fn drop(&mut self) {
        lock(&self.cache.making).remove(&self.hash);
        // All, because the waiters may wait for other keys than this one.
        self.cache.made.notify_all();
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    /// Returns the test of a value by a reader who bounds its age, for this moment.
    ///
    /// The time is read before the look-up: a read behind its atomic operations would wait for
    /// them, and the clock is the user's, which is not asked under a lock.
    #[inline]
    fn is_usable(&self, max_age: Duration) -> impl Fn(&Generation<V>) -> bool + use<K, V> {
        let now = self.clock.now();
        let oldest = now.checked_sub(max_age.saturating_add(TOLERANCE));
        // Nothing is younger than zero, not even a value from within the tolerance.
        move |held| held.is_usable(now, oldest) && !max_age.is_zero()
    }

    #[inline]
    fn hit<Q>(&self, hash: u64, key: &Q, max_age: Duration) -> Option<Lease<V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let hit = self.entries.hit(hash, key, self.is_usable(max_age));
        if hit.is_none() {
            self.count(|counters| counters.misses += 1);
        }
        hit.map(Lease::cached)
    }

    /// Makes a value, unless another call has made it in the meantime. Kept out of line to keep the
    /// hit path small.
    #[inline(never)]
    fn make_in_turn<Q, F>(
        &self,
        epoch: Epoch,
        hash: u64,
        key: &Q,
        max_age: Duration,
        make: impl FnOnce() -> Result<Expiring<V>, F>,
    ) -> Result<Lease<V>, F>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let make = || {
            let made = make()?;
            Ok(Arc::new(Generation::new(made, self.count(|counters| counters.made += 1))))
        };
        if max_age.is_zero() || self.capacity == 0 {
            return make().map(Lease::fresh);
        }
        let _turn = self.turn(hash);
        // Cloned out of the map: the clock and `make` are the user's and must not run under its
        // lock.
        let held = self.entries.map.get(key).map(|held| Arc::clone(&held));
        if let Some(held) = held.filter(|held| self.is_usable(max_age)(held)) {
            // Nothing usable was held when this call began: another turn has made it since.
            return Ok(Lease::fresh(held));
        }
        let made = make()?;
        if made.is_outside_buffer(self.clock.now()) {
            // Compared under the shard's lock: a later `clear` finds the value in the map and drops
            // it.
            let is_current = || self.epoch.load(Ordering::SeqCst) == epoch.0;
            self.entries.insert_if(is_current, key.to_owned(), Arc::clone(&made));
            if self.entries.map.len() > self.capacity {
                let evicted = self.entries.make_room(self.capacity, self.clock.now(), made.id);
                self.count(|counters| counters.evicted += evicted);
            }
        }
        Ok(Lease::fresh(made))
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Eq + Hash, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .field("capacity", &self.inner.capacity)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
