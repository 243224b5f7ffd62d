//! A cache that is cleared, also while a value is made.

use crate::support::*;

#[test]
fn cleared_cache_is_empty() {
    let clock = clock();
    let cache = cache(&clock);
    cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(living(&clock, 1, 900))).unwrap();
    cache.clear();
    assert!(cache.is_empty() && cache.get(KEY, ANY_AGE).is_none());
}

#[test]
fn value_being_made_is_not_stored() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, ANY_AGE, || {
        cache.clear();
        Ok::<_, ()>(living(&clock, 1, 900))
    });
    assert_eq!(*lease.unwrap().value(), 1);
    assert!(cache.is_empty());
}

#[test]
fn value_made_of_what_was_got_in_an_earlier_epoch_is_not_stored() {
    let clock = clock();
    let cache = cache(&clock);
    let epoch = cache.epoch();
    cache.clear();
    let make = || Ok::<_, ()>(living(&clock, 1, 900));
    let lease = cache.get_or_insert_in(epoch, KEY, ANY_AGE, make).unwrap();
    assert_eq!((*lease.value(), cache.len()), (1, 0));
    cache.get_or_insert_in(cache.epoch(), KEY, ANY_AGE, make).unwrap();
    assert_eq!(cache.len(), 1);
}
