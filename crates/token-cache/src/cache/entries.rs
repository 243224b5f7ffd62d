//! The entries, and which ones are evicted when the cache is full.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use dashmap::{DashMap, Entry};
use foldhash::quality::RandomState;

use crate::{lease::Generation, stats::Counter};

type Held<V> = Arc<Generation<V>>;

const SHARDS: usize = 32;

/// A [`DashMap`] that drops nothing under its locks: not its `clear` and `retain`, which do.
pub(super) struct Entries<K, V> {
    map: DashMap<K, Held<V>, RandomState>,
    evicting: Mutex<()>,
    /// By generation, whose count of references a hit has just written to.
    hits: [Stripe; SHARDS],
}

// Two cache lines each, so that hits of different values do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(Counter);

/// The position of an entry in the eviction order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_unexpired: bool,
    is_endless: bool,
    end: Option<SystemTime>,
    id: u64,
    hash: u64,
}

impl<K: Eq + Hash, V> Entries<K, V> {
    pub(super) fn new() -> Self {
        Self {
            // As many on every machine: each insertion asks all of them for their lengths.
            map: DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS),
            evicting: Mutex::new(()),
            hits: Default::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.iter().map(|stripe| stripe.0.value()).sum()
    }

    pub(super) fn count_hit(&self, held: &Generation<V>) {
        self.hits[held.id() as usize % SHARDS].0.one();
    }

    pub(super) fn clear(&self) {
        let shards = self.map.shards().iter();
        let taken: Vec<_> = shards.map(|shard| mem::take(&mut *shard.write())).collect();
        // Dropped only here, because a value's `Drop` may look into the cache.
        drop(taken);
    }

    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.map.hasher().hash_one(key)
    }

    pub(super) fn find<Q>(&self, key: &Q) -> Option<Held<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.get(key).map(|held| Arc::clone(&held))
    }

    /// Stores an entry if `may_store` says so under the lock.
    pub(super) fn insert_if(&self, may_store: impl FnOnce() -> bool, key: K, value: Held<V>) {
        // Each of these releases the lock before it returns what is left over.
        match self.map.entry(key) {
            entry if !may_store() => drop(entry.into_key()),
            Entry::Occupied(held) => drop(held.replace_entry(value)),
            Entry::Vacant(place) => drop(place.insert(value)),
        }
    }

    /// Removes an entry if `goes` says so under the lock, and returns whether it did.
    pub(super) fn remove_if<Q>(&self, key: &Q, goes: impl FnOnce(&Generation<V>) -> bool) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.remove_if(key, |_, held| goes(held)).is_some()
    }

    /// Removes the expired entries, and then those that expire first until a tenth of the capacity
    /// is free, but not the newest; returns how many.
    pub(super) fn make_room(&self, capacity: usize, now: SystemTime, newest: u64) -> usize {
        // Declared before the locks are taken, so that the entries are dropped after their release.
        let mut evicted = Vec::new();
        // Callers that find the cache full wait here; otherwise they would go on filling it.
        let _evicting = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.len() <= capacity {
            return 0;
        }
        let others = self.map.iter().filter(|entry| entry.id() != newest);
        let mut places: Vec<_> = others.map(|entry| self.place(entry.key(), entry.value(), now)).collect();
        let unexpired = places.iter().filter(|place| place.is_unexpired).count();
        // The newest counts, so that a cache full of unexpired entries loses exactly a tenth.
        let surplus = (unexpired + (capacity / 10).max(1)).saturating_sub(capacity);
        let count = places.len() - unexpired + surplus;
        if count < places.len() {
            places.select_nth_unstable(count);
            places.truncate(count);
        }
        evicted.extend(places.iter().filter_map(|place| {
            // By its id, because only the map owns the key.
            let shard = &self.map.shards()[self.map.determine_shard(place.hash as usize)];
            shard.write().remove_entry(place.hash, |(_, held)| held.get().id() == place.id)
        }));
        evicted.len()
    }

    fn place(&self, key: &K, held: &Generation<V>, now: SystemTime) -> Place {
        let end = held.end();
        Place {
            is_unexpired: !end.is_past(now),
            is_endless: end.moment().is_none(),
            end: end.moment(),
            id: held.id(),
            hash: self.hash(key),
        }
    }
}
