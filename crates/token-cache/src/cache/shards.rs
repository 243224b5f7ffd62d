//! The entries, spread over several locks.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    mem,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use foldhash::quality::RandomState;
use hashbrown::{HashTable, hash_table};

use crate::{lease::Generation, stats::Counter};

type Entry<K, V> = (K, Arc<Generation<V>>);

const BITS: u32 = 5;

pub(super) struct Shards<K, V> {
    hasher: RandomState,
    shards: Box<[Shard<K, V>]>,
    len: AtomicUsize,
    evicting: Mutex<()>,
}

// Two cache lines each, so that readers of one shard do not slow down those of the next.
#[repr(align(128))]
struct Shard<K, V> {
    entries: RwLock<HashTable<Entry<K, V>>>,
    /// Here, because a hit has just written to the lock beside it.
    hits: Counter,
}

impl<K, V> Shards<K, V> {
    pub(super) fn new() -> Self {
        let shard = |_| Shard { entries: RwLock::new(HashTable::new()), hits: Counter::default() };
        Self {
            hasher: RandomState::default(),
            shards: (0..1 << BITS).map(shard).collect(),
            len: AtomicUsize::new(0),
            evicting: Mutex::new(()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.hits.value()).sum()
    }

    /// Takes all entries out, for the caller to drop outside the locks.
    pub(super) fn take(&self) -> impl Sized + use<K, V> {
        let take = |shard: &Shard<K, V>| {
            let mut entries = shard.write();
            self.len.fetch_sub(entries.len(), Ordering::Relaxed);
            mem::take(&mut *entries)
        };
        self.shards.iter().map(take).collect::<Vec<_>>()
    }
}

impl<K: Eq + Hash, V> Shards<K, V> {
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns what is held under a key, and the counter of the hits there.
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<(Arc<Generation<V>>, &Counter)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let shard = self.shard(hash);
        let entries = shard.read();
        let (_, held) = entries.find(hash, |(held, _)| held.borrow() == key)?;
        Some((Arc::clone(held), &shard.hits))
    }

    /// Stores an entry if `may_store` says so under the lock, and returns what it replaces or what is not stored.
    pub(super) fn insert_if(
        &self,
        may_store: impl FnOnce() -> bool,
        hash: u64,
        key: K,
        value: Arc<Generation<V>>,
    ) -> Option<Entry<K, V>> {
        let entry = (key, value);
        let mut entries = self.shard(hash).write();
        if !may_store() {
            return Some(entry);
        }
        let rehash = |(key, _): &Entry<K, V>| self.hasher.hash_one(key);
        match entries.entry(hash, |(held, _)| *held == entry.0, rehash) {
            hash_table::Entry::Occupied(mut held) => Some(mem::replace(held.get_mut(), entry)),
            hash_table::Entry::Vacant(place) => {
                place.insert(entry);
                self.len.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    pub(super) fn remove_if<Q>(
        &self,
        hash: u64,
        key: &Q,
        goes: impl FnOnce(&Generation<V>) -> bool,
    ) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut entries = self.shard(hash).write();
        let held = entries.find_entry(hash, |(held, _)| held.borrow() == key).ok()?;
        if !goes(&held.get().1) {
            return None;
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(held.remove().0)
    }

    /// Removes the expired entries, and then those that expire first until a tenth of the capacity is free, but not
    /// the newest; returns how many.
    pub(super) fn make_room(&self, capacity: usize, now: SystemTime, newest: u64) -> usize {
        // Declared before the locks are taken, so that the entries are dropped after their release.
        let mut evicted = Vec::new();
        // Whoever finds the cache full waits here: going on meanwhile, it would fill the cache further.
        let _evicting = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.len() <= capacity {
            return 0;
        }
        self.extract(&mut evicted, |held| held.end().is_past(now) && held.id() != newest);
        // The newest counts, so that a cache full of living entries loses exactly a tenth.
        let surplus = (self.len() + (capacity / 10).max(1)).saturating_sub(capacity + 1);
        if surplus > 0 {
            // Those without an end go last.
            let order = |held: &Generation<V>| (held.end().moment().is_none(), held.end().moment());
            let mut ends = Vec::new();
            for shard in &self.shards {
                let entries = shard.read();
                let others = entries.iter().filter(|(_, held)| held.id() != newest);
                ends.extend(others.map(|(_, held)| order(held)));
            }
            let nth = surplus.min(ends.len()).saturating_sub(1);
            if !ends.is_empty() {
                let (_, last, _) = ends.select_nth_unstable(nth);
                let (last, mut left) = (*last, surplus);
                self.extract(&mut evicted, |held| {
                    let goes = left > 0 && order(held) <= last && held.id() != newest;
                    left -= usize::from(goes);
                    goes
                });
            }
        }
        evicted.len()
    }

    fn extract(&self, out: &mut Vec<Entry<K, V>>, mut goes: impl FnMut(&Generation<V>) -> bool) {
        for shard in &self.shards {
            let before = out.len();
            out.extend(shard.write().extract_if(|(_, held)| goes(held)));
            self.len.fetch_sub(out.len() - before, Ordering::Relaxed);
        }
    }

    fn shard(&self, hash: u64) -> &Shard<K, V> {
        // Bits that the tables do not use: they take the low ones and the highest seven.
        &self.shards[(hash >> (64 - 7 - BITS)) as usize & ((1 << BITS) - 1)]
    }
}

// Keys are compared under the locks, and one that panics while it is leaves the table as it was.
impl<K, V> Shard<K, V> {
    fn read(&self) -> RwLockReadGuard<'_, HashTable<Entry<K, V>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashTable<Entry<K, V>>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}
