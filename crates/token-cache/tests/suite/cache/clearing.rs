//! A cache that is cleared, also while a value is made.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use token_cache::{Cache, Epoch, Expiring};

use crate::support::*;

#[test]
fn cleared_cache_is_empty() {
    let clock = clock();
    let cache = cache(&clock);
    cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, 1, 900))).unwrap();
    cache.clear();
    assert!(cache.is_empty() && cache.get(KEY, ANY_AGE).is_none());
}

#[test]
fn value_being_made_is_not_stored() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, ANY_AGE, || {
        cache.clear();
        Ok::<_, ()>(unexpired(&clock, 1, 900))
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
    let make = || Ok::<_, ()>(unexpired(&clock, 1, 900));
    let lease = cache.get_or_insert_in(epoch, KEY, ANY_AGE, make).unwrap();
    assert_eq!((*lease.value(), cache.len()), (1, 0));
    cache.get_or_insert_in(cache.epoch(), KEY, ANY_AGE, make).unwrap();
    assert_eq!(cache.len(), 1);
}

#[test]
fn value_stored_while_the_others_are_dropped_belongs_to_the_new_epoch() {
    /// A value that stores what it got in an earlier epoch when it is dropped.
    struct Late(Option<(Cache<u32, Late>, Epoch)>);
    impl Drop for Late {
        fn drop(&mut self) {
            let Some((cache, epoch)) = self.0.take() else { return };
            let now = clock().now();
            let make = || Ok::<_, ()>(Expiring::new(Late(None), now, now + secs(900)));
            cache.get_or_insert_in(epoch, &2, ANY_AGE, make).unwrap();
        }
    }
    let clock = clock();
    let cache: Cache<u32, Late> = Cache::new(Arc::new(clock.clone()));
    let late = Late(Some((cache.clone(), cache.epoch())));
    let made = Expiring::new(late, clock.now(), clock.now() + secs(900));
    drop(cache.get_or_insert_with(&1, ANY_AGE, || Ok::<_, ()>(made)).unwrap());
    cache.clear();
    assert!(cache.is_empty());
}

#[test]
fn clear_between_a_value_and_its_place_keeps_the_value_out() {
    /// A key that clears the cache when it is cloned, which is just before its value is stored.
    struct Clearing(Cache<Clearing, u32>);
    impl PartialEq for Clearing {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }
    impl Eq for Clearing {}
    impl Hash for Clearing {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    impl Clone for Clearing {
        fn clone(&self) -> Self {
            self.0.clear();
            Self(self.0.clone())
        }
    }
    let clock = clock();
    let cache: Cache<Clearing, u32> = Cache::new(Arc::new(clock.clone()));
    let key = Clearing(cache.clone());
    cache.get_or_insert_with(&key, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, 1, 900))).unwrap();
    assert!(cache.is_empty());
}
