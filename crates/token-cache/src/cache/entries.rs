//! The entries, and which ones are evicted when the cache is full.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use dashmap::{DashMap, Entry};
use foldhash::quality::RandomState;

use crate::lease::Generation;

type Held<V> = Arc<Generation<V>>;

const SHARDS: usize = 16;

/// A [`DashMap`] that drops no entry under its locks, unlike `DashMap::clear` and `retain`.
pub(super) struct Entries<K, V> {
    pub(super) map: DashMap<K, Held<V>, RandomState>,
    hits: [Hits; SHARDS],
}

/// The hits in one shard, written under its lock.
// Two cache lines each, so that hits in different shards do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Hits(AtomicU64);

impl<K: Eq + Hash, V> Entries<K, V> {
    pub(super) fn new() -> Self {
        // The same number on every machine: each insertion reads the lengths of all shards, and the
        // locks of a few shards fit into the processor's cache.
        let map = DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS);
        Self { map, hits: Default::default() }
    }

    pub(super) fn hits(&self) -> u64 {
        // Read shard by shard without their locks: exact only while nobody hits.
        self.hits.iter().map(|hits| hits.0.load(Relaxed)).sum()
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

    /// Returns and counts what is held if it may be used.
    ///
    /// Takes the write lock, which costs the same as the read lock and spares the count an atomic
    /// addition.
    #[inline]
    pub(super) fn hit<Q>(
        &self,
        hash: u64,
        key: &Q,
        is_usable: impl FnOnce(&Generation<V>) -> bool,
    ) -> Option<Held<V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let index = self.map.determine_shard(hash as usize);
        let shard = self.map.shards()[index].write();
        let (_, held) = shard.get(hash, |(held, _)| held.borrow() == key)?;
        let held = held.get();
        if !is_usable(held) {
            return None;
        }
        let hits = &self.hits[index].0;
        hits.store(hits.load(Relaxed).wrapping_add(1), Relaxed);
        Some(Arc::clone(held))
    }

    /// Stores an entry if `may_store` says so under the lock.
    pub(super) fn insert_if(&self, may_store: impl FnOnce() -> bool, key: K, value: Held<V>) {
        // Each of these releases the lock before it returns the value to drop.
        match self.map.entry(key) {
            entry if !may_store() => drop(entry.into_key()),
            Entry::Occupied(held) => drop(held.replace_entry(value)),
            Entry::Vacant(place) => drop(place.insert(value)),
        }
    }

    /// Removes the expired entries, and then those that expire first until a tenth of the capacity
    /// is free, but not the newest; returns how many.
    pub(super) fn make_room(&self, capacity: usize, now: SystemTime, newest: u64) -> u64 {
        let others = self.map.iter().filter(|entry| entry.id != newest);
        // Values without an expiry are evicted last. The id breaks ties.
        let mut order: Vec<_> = others
            .map(|entry| {
                let end = entry.expires_at();
                (end.is_none(), end, entry.id, self.hash(entry.key()))
            })
            .collect();
        let expired = order.iter().filter(|(_, end, ..)| end.is_some_and(|end| end <= now)).count();
        // The newest counts, so that a cache full of unexpired entries loses exactly a tenth.
        let surplus = (order.len() - expired + (capacity / 10).max(1)).saturating_sub(capacity);
        if expired + surplus < order.len() {
            // The expired sort first, then the nearest to their end; their order among each other
            // is free.
            order.select_nth_unstable(expired + surplus);
            order.truncate(expired + surplus);
        }
        let evict = |(_, _, id, hash): (_, _, u64, u64)| {
            // Found by hash and id: a value that was stored meanwhile has another id and stays.
            let mut shard = self.map.shards()[self.map.determine_shard(hash as usize)].write();
            shard.remove_entry(hash, |(_, held)| held.get().id == id)
        };
        // Collected first, so that they are dropped after the locks are released.
        let evicted: Vec<_> = order.into_iter().filter_map(evict).collect();
        evicted.len() as u64
    }
}
