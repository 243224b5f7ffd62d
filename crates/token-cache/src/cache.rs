//! The bounded map of values that are made in place.

mod entries;
mod turns;

use std::{
    borrow::Borrow,
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::{entries::Entries, turns::Turns};
use crate::{
    clock::Clock,
    expiring::Expiring,
    lease::{Generation, Lease},
    stats::{CacheStats, Counter},
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
    turns: Turns,
    epoch: AtomicU64,
    ids: AtomicU64,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    evicted: Counter,
    invalidated: Counter,
    made: Counter,
    misses: Counter,
    waits: Counter,
}

/// A time between two calls of [`Cache::clear`]; see [`Cache::get_or_insert_in`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Creates a cache that holds about 10,000 entries at most.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, 10_000)
    }

    /// Creates a cache that holds about so many entries at most; without any it makes every value
    /// anew.
    ///
    /// When a new key finds the cache full, the expired entries go, then those that expire first,
    /// until a tenth is free.
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                capacity,
                entries: Entries::new(),
                turns: Turns::default(),
                epoch: AtomicU64::new(0),
                ids: AtomicU64::new(0),
                counters: Counters::default(),
            }),
        }
    }

    /// Begins a new epoch: drops all values, and what is being made at this moment will not be
    /// stored.
    pub fn clear(&self) {
        self.inner.epoch.fetch_add(1, Ordering::SeqCst);
        self.inner.entries.clear();
    }

    /// Returns the epoch in which a call is, for [`get_or_insert_in`](Self::get_or_insert_in).
    pub fn epoch(&self) -> Epoch {
        Epoch(self.inner.epoch.load(Ordering::SeqCst))
    }

    /// Returns how many values the cache holds, the expired ones included.
    pub fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Returns whether the cache holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the counters.
    pub fn stats(&self) -> CacheStats {
        let counters = &self.inner.counters;
        CacheStats {
            evicted: counters.evicted.value(),
            hits: self.inner.entries.hits(),
            invalidated: counters.invalidated.value(),
            made: counters.made.value(),
            misses: counters.misses.value(),
            waits: counters.waits.value(),
        }
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
        let now = self.inner.clock.now();
        let found = self.inner.entries.find(key);
        let Some(held) = found.filter(|held| held.is_usable(now, max_age)) else {
            self.inner.counters.misses.one();
            return None;
        };
        self.inner.entries.count_hit(&held);
        Some(Lease::cached(held))
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

    /// Does the same, and stores nothing if `epoch` has ended.
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
        let inner = &*self.inner;
        // Before the look-up: a read behind its atomic operations would wait for them.
        let now = inner.clock.now();
        let seen = match inner.entries.find(key) {
            Some(held) if held.is_usable(now, max_age) => {
                inner.entries.count_hit(&held);
                return Ok(Lease::cached(held));
            }
            seen => seen,
        };
        inner.counters.misses.one();
        inner.make_in_turn(epoch, key, max_age, seen.map(|seen| seen.id()), make)
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
        let is_removed = self.inner.entries.remove_if(key, |held| held.id() == refused.generation());
        if is_removed {
            self.inner.counters.invalidated.one();
        }
        is_removed
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn generation(&self, made: Expiring<V>) -> Arc<Generation<V>> {
        self.counters.made.one();
        Arc::new(Generation::new(made, self.ids.fetch_add(1, Ordering::Relaxed)))
    }

    /// Makes a value, unless another call has made it in the meantime. Kept out of line, so that a
    /// hit stays small.
    #[inline(never)]
    fn make_in_turn<Q, F>(
        &self,
        epoch: Epoch,
        key: &Q,
        max_age: Duration,
        seen: Option<u64>,
        make: impl FnOnce() -> Result<Expiring<V>, F>,
    ) -> Result<Lease<V>, F>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let make = || make().map(|made| self.generation(made));
        if max_age.is_zero() || self.capacity == 0 {
            return make().map(Lease::fresh);
        }
        let turn = self.turns.join(self.entries.hash(key));
        let _turn = turn.wait(&self.counters.waits);
        if let Some(held) = self.entries.find(key)
            && held.is_usable(self.clock.now(), max_age)
        {
            return Ok(if seen == Some(held.id()) { Lease::cached(held) } else { Lease::fresh(held) });
        }
        let made = make()?;
        if made.is_outside_buffer(self.clock.now()) {
            self.store(epoch, key, &made);
        }
        Ok(Lease::fresh(made))
    }

    fn store<Q>(&self, epoch: Epoch, key: &Q, made: &Arc<Generation<V>>)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // Looked at under the shard's lock: a clear that comes later finds the value there and
        // drops it.
        let is_current = || self.epoch.load(Ordering::SeqCst) == epoch.0;
        self.entries.insert_if(is_current, key.to_owned(), Arc::clone(made));
        if self.entries.len() > self.capacity {
            let evicted = self.entries.make_room(self.capacity, self.clock.now(), made.id());
            self.counters.evicted.add(evicted as u64);
        }
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
