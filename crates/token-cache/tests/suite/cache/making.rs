//! When a cache makes a value, and when it hands out the stored one.

use std::{panic::AssertUnwindSafe, time::Duration};

use token_cache::{Expiring, Lease};

use crate::support::*;

/// Asks for a token of 900 s, bounding its age, and makes `value` if there is none.
fn ask(cache: &TestCache, clock: &token_cache::ManualClock, max_age: u64, value: u32) -> Lease<u32> {
    cache.get_or_insert_with(KEY, secs(max_age), || Ok::<_, ()>(unexpired(clock, value, 900))).unwrap()
}

#[test]
fn made_value_is_fresh_once_and_stored() {
    let (clock, cache) = (clock(), cache(&clock()));
    let made = ask(&cache, &clock, 900, 1);
    let found = ask(&cache, &clock, 900, 2);
    assert!(made.is_fresh() && !found.is_fresh());
    assert_eq!((*found.value(), found.generation()), (1, made.generation()));
}

#[test]
fn value_is_usable_until_the_readers_bound() {
    let clock = clock();
    let cache = cache(&clock);
    ask(&cache, &clock, 300, 1);
    clock.advance(secs(299));
    assert_eq!(*ask(&cache, &clock, 300, 2).value(), 1);
    clock.advance(secs(1));
    assert!(cache.get(KEY, secs(300)).is_none());
    // The bound is the reader's: another reader still takes it.
    assert_eq!(*cache.get(KEY, secs(301)).unwrap().value(), 1);
    assert_eq!(*ask(&cache, &clock, 300, 2).value(), 2);
}

#[test]
fn value_is_usable_until_its_expiry_buffer() {
    let clock = clock();
    let cache = cache(&clock);
    ask(&cache, &clock, 900, 1);
    clock.advance(secs(839));
    assert_eq!(*ask(&cache, &clock, 900, 2).value(), 1);
    clock.advance(secs(1));
    assert_eq!(*ask(&cache, &clock, 900, 2).value(), 2);
}

#[test]
fn clock_set_back_by_a_second_keeps_the_value() {
    let clock = clock();
    let cache = cache(&clock);
    ask(&cache, &clock, 900, 1);
    clock.set(clock.now() - secs(1));
    assert_eq!(*ask(&cache, &clock, 900, 2).value(), 1);
    clock.set(clock.now() - Duration::from_nanos(1));
    assert_eq!(*ask(&cache, &clock, 900, 2).value(), 2);
}

#[test]
fn zero_age_makes_every_time_and_stores_nothing() {
    let clock = clock();
    let cache = cache(&clock);
    assert_eq!(*ask(&cache, &clock, 0, 1).value(), 1);
    assert_eq!(*ask(&cache, &clock, 0, 2).value(), 2);
    assert!(cache.is_empty());
    let unstored = ask(&cache, &clock, 0, 3);
    assert!(!cache.invalidate(KEY, &unstored));
}

#[test]
fn zero_age_passes_by_a_stored_value() {
    let clock = clock();
    let cache = cache(&clock);
    ask(&cache, &clock, 900, 1);
    assert_eq!(*ask(&cache, &clock, 0, 2).value(), 2);
    assert_eq!(*ask(&cache, &clock, 900, 3).value(), 1);
    assert!(cache.get(KEY, Duration::ZERO).is_none());
    // Not even where a clock set back a little makes it younger than nothing.
    clock.set(clock.now() - secs(1));
    assert!(cache.get(KEY, Duration::ZERO).is_none());
}

#[test]
fn value_made_within_its_expiry_buffer_is_handed_out_and_not_stored() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, secs(900), || Ok::<_, ()>(unexpired(&clock, 1, 60))).unwrap();
    assert_eq!(*lease.value(), 1);
    assert!(lease.is_fresh());
    assert!(cache.is_empty());
}

#[test]
fn value_made_just_before_its_expiry_buffer_is_stored() {
    let clock = clock();
    let cache = cache(&clock);
    cache.get_or_insert_with(KEY, secs(900), || Ok::<_, ()>(unexpired(&clock, 1, 61))).unwrap();
    assert_eq!(cache.len(), 1);
}

#[test]
fn failure_is_returned_and_not_remembered() {
    let clock = clock();
    let cache = cache(&clock);
    assert_eq!(cache.get_or_insert_with(KEY, secs(900), || Err::<Expiring<u32>, _>("no")).unwrap_err(), "no");
    assert_eq!(*ask(&cache, &clock, 900, 1).value(), 1);
}

#[test]
fn panic_leaves_the_key_usable() {
    let clock = clock();
    let cache = cache(&clock);
    let panicking = AssertUnwindSafe(|| {
        cache.get_or_insert_with(KEY, secs(900), || -> Result<_, ()> {
            std::panic::resume_unwind(Box::new("make"))
        })
    });
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!(*ask(&cache, &clock, 900, 1).value(), 1);
}

#[test]
fn make_may_use_the_cache_for_another_key() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, secs(900), || {
        let other =
            cache.get_or_insert_with("other", secs(900), || Ok::<_, ()>(unexpired(&clock, 1, 900)))?;
        Ok::<_, ()>(unexpired(&clock, other.value() + 1, 900))
    });
    assert_eq!(*lease.unwrap().value(), 2);
    assert_eq!(cache.len(), 2);
}

#[test]
fn extreme_times_do_not_overflow() {
    let clock = clock();
    let cache = cache(&clock);
    let far = clock.now() + secs(1 << 50);
    let made = Expiring::new(1, clock.now(), far);
    cache.get_or_insert_with(KEY, Duration::MAX, || Ok::<_, ()>(made)).unwrap();
    assert!(cache.get(KEY, Duration::MAX).is_some());
    let backwards = Expiring::new(2, far, std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(
        *cache.get_or_insert_with("odd", Duration::MAX, || Ok::<_, ()>(backwards)).unwrap().value(),
        2
    );
}
