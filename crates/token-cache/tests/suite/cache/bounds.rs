//! The capacity of a cache, and what it evicts.

use token_cache::{Expiring, ManualClock};

use crate::support::*;

fn put(cache: &TestCache, clock: &ManualClock, key: u32, life: u64) {
    cache
        .get_or_insert_with(key.to_string().as_str(), ANY_AGE, || Ok::<_, ()>(unexpired(clock, key, life)))
        .unwrap();
}

fn has(cache: &TestCache, key: u32) -> bool {
    cache.get(key.to_string().as_str(), ANY_AGE).is_some()
}

#[test]
fn full_cache_lets_the_tenth_go_that_expires_first() {
    let clock = clock();
    let cache = cache_of(&clock, 20);
    for key in 0..20 {
        // 7 and 13 expire first.
        put(&cache, &clock, key, if key % 6 == 1 && key > 1 && key < 19 { 500 } else { 900 });
    }
    assert_eq!(cache.len(), 20);
    put(&cache, &clock, 20, 900);
    assert_eq!((cache.len(), cache.stats().evicted), (19, 2));
    assert!(!has(&cache, 7) && !has(&cache, 13) && has(&cache, 20));
}

#[test]
fn expired_go_before_the_unexpired() {
    let clock = clock();
    let cache = cache_of(&clock, 20);
    (0..5).for_each(|key| put(&cache, &clock, key, 100));
    (5..20).for_each(|key| put(&cache, &clock, key, 900));
    clock.advance(secs(100));
    put(&cache, &clock, 20, 900);
    assert_eq!((cache.len(), cache.stats().evicted), (16, 5));
    assert!((5..=20).all(|key| has(&cache, key)));
}

#[test]
fn hits_outlive_their_entries() {
    let clock = clock();
    let cache = cache_of(&clock, 1);
    put(&cache, &clock, 1, 900);
    assert!(has(&cache, 1) && has(&cache, 1));
    put(&cache, &clock, 2, 900);
    assert_eq!((has(&cache, 2), cache.stats().evicted, cache.stats().hits), (true, 1, 3));
    cache.clear();
    assert_eq!((has(&cache, 2), cache.stats().hits), (false, 3));
}

#[test]
fn capacity_of_one_holds_the_latest() {
    let clock = clock();
    let cache = cache_of(&clock, 1);
    for key in 0..10 {
        put(&cache, &clock, key, 900);
        assert_eq!(cache.len(), 1);
        assert!(has(&cache, key));
    }
}

#[test]
fn ten_thousand_is_the_default() {
    let clock = clock();
    let cache = cache(&clock);
    (0..10_000).for_each(|key| put(&cache, &clock, key, 900));
    assert_eq!((cache.len(), cache.stats().evicted), (10_000, 0));
    put(&cache, &clock, 10_000, 900);
    assert_eq!((cache.len(), cache.stats().evicted), (9_001, 1_000));
    for key in 10_001..25_000 {
        put(&cache, &clock, key, 900);
        assert!(key % 500 != 0 || cache.len() <= 10_000);
    }
}

#[test]
fn failed_calls_leave_nothing_that_displaces_values() {
    let clock = clock();
    let cache = cache_of(&clock, 10);
    (0..5).for_each(|key| put(&cache, &clock, key, 900));
    for key in 100..1_000 {
        let result =
            cache.get_or_insert_with(key.to_string().as_str(), ANY_AGE, || Err::<Expiring<u32>, _>(()));
        assert!(result.is_err());
    }
    assert!((0..5).all(|key| has(&cache, key)));
}

#[test]
fn values_without_an_end_go_last() {
    let clock = clock();
    let cache = cache_of(&clock, 10);
    for key in ["endless", "endless too"] {
        let made = Expiring::without_end(0, clock.now(), secs(900));
        cache.get_or_insert_with(key, ANY_AGE, || Ok::<_, ()>(made)).unwrap();
    }
    (0..100).for_each(|key| put(&cache, &clock, key, 900));
    assert!(cache.get("endless", ANY_AGE).is_some() && cache.get("endless too", ANY_AGE).is_some());
}

#[test]
fn capacity_of_zero_stores_nothing() {
    let clock = clock();
    let cache = cache_of(&clock, 0);
    put(&cache, &clock, 1, 900);
    assert!(cache.is_empty() && !has(&cache, 1));
}
