//! A cache that many threads use at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use token_cache::{Cache, Expiring};

use crate::support::*;

#[test]
fn threads_make_one_value_per_key() {
    let clock = clock();
    let cache = cache(&clock);
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let lease = cache.get_or_insert_with(KEY, ANY_AGE, || {
                    made.fetch_add(1, SeqCst);
                    // Until every thread has found nothing and is on its way here.
                    while cache.stats().misses < 16 {
                        thread::yield_now();
                    }
                    Ok::<_, ()>(unexpired(&clock, 1, 900))
                });
                assert_eq!(*lease.unwrap().value(), 1);
            });
        }
    });
    assert_eq!(made.load(SeqCst), 1);
}

#[test]
fn threads_take_turns_when_making_fails() {
    let clock = clock();
    let cache = cache(&clock);
    let (running, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let result = cache.get_or_insert_with(KEY, ANY_AGE, || {
                    assert_eq!(running.fetch_add(1, SeqCst), 0);
                    thread::yield_now();
                    made.fetch_add(1, SeqCst);
                    running.fetch_sub(1, SeqCst);
                    Err::<Expiring<u32>, _>("no")
                });
                assert_eq!(result.unwrap_err(), "no");
            });
        }
    });
    assert_eq!(made.load(SeqCst), 16);
}

#[test]
fn refused_threads_cost_one_new_value() {
    let clock = clock();
    let cache = cache(&clock);
    let made = AtomicUsize::new(0);
    let ask = || {
        let make = || Ok::<_, ()>(unexpired(&clock, made.fetch_add(1, SeqCst) as u32, 900));
        cache.get_or_insert_with(KEY, ANY_AGE, make).unwrap()
    };
    let stale = ask();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                cache.invalidate(KEY, &stale);
                assert_eq!(*ask().value(), 1);
            });
        }
    });
    assert_eq!(made.load(SeqCst), 2);
}

/// Everything at once on a cache that is too small. That it ends shows that no two locks wait for
/// each other.
#[test]
fn mixed_use_under_eviction_keeps_values_with_their_keys() {
    let clock = clock();
    let cache: Cache<u32, u32> = Cache::with_capacity(Arc::new(clock.clone()), 20);
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (cache, clock) = (&cache, &clock);
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_u32.wrapping_add(thread);
                for round in 0..20_000 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let key = (random >> 8) % 50;
                    let fetched = unexpired(clock, key, 1000);
                    let make = || Ok::<_, ()>(fetched);
                    let lease = cache.get_or_insert_with(&key, ANY_AGE, make).unwrap();
                    if (random >> 20) % 8 == 0 {
                        cache.invalidate(&key, &lease);
                    }
                    assert_eq!(*lease.value(), key);
                    if round % 500 == 0 {
                        cache.clear();
                    }
                }
            });
        }
    });
    assert!(cache.len() <= 20 + 4, "{}", cache.len());
}

/// A value whose `Drop` looks into the cache that held it.
struct Curious(Cache<u32, Curious>);

impl Drop for Curious {
    fn drop(&mut self) {
        for key in 0..4 {
            self.0.get(&key, ANY_AGE);
        }
        self.0.len();
    }
}

#[test]
fn values_may_use_the_cache_while_they_are_dropped() {
    let clock = clock();
    let cache: Cache<u32, Curious> = Cache::with_capacity(Arc::new(clock.clone()), 2);
    let put = |key: u32| {
        let expires_at = clock.now() + secs(900);
        let make = || Ok::<_, ()>(Expiring::new(Curious(cache.clone()), clock.now(), expires_at));
        cache.get_or_insert_with(&key, secs(10), make).unwrap()
    };
    // Evicted, replaced, rejected, cleared.
    (0..4).for_each(|key| drop(put(key)));
    clock.advance(secs(10));
    drop(put(3));
    let rejected = put(3);
    assert!(cache.invalidate(&3, &rejected));
    drop(rejected);
    drop(put(3));
    cache.clear();
    assert!(cache.is_empty());
}

/// A key whose `Drop` looks into the cache that holds it.
#[derive(Clone)]
struct CuriousKey(u32, Cache<CuriousKey, u32>);

impl PartialEq for CuriousKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for CuriousKey {}

impl std::hash::Hash for CuriousKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for CuriousKey {
    fn drop(&mut self) {
        self.1.stats();
        self.1.clear();
    }
}

#[test]
fn keys_may_use_the_cache_while_they_are_dropped() {
    let clock = clock();
    let cache: Cache<CuriousKey, u32> = Cache::with_capacity(Arc::new(clock.clone()), 2);
    for number in 0..8 {
        // Kept for ever, so that only the copies in the cache are dropped, and those by the cache.
        let key = std::mem::ManuallyDrop::new(CuriousKey(number % 4, cache.clone()));
        let lease =
            cache.get_or_insert_with(&*key, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, number, 900))).unwrap();
        clock.advance(secs(900));
        cache.invalidate(&*key, &lease);
    }
    cache.clear();
    assert!(cache.is_empty());
}
