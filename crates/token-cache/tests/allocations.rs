//! A hit allocates nothing.

#![expect(clippy::unwrap_used, reason = "a failed step of a helper fails the test")]

use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use token_cache::{Cache, Expiring, ManualClock};

const MAX_AGE: Duration = Duration::from_secs(600);

fn filled() -> Cache<String, String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let cache: Cache<String, String> =
        Cache::builder().clock(Arc::new(ManualClock::at(now))).build().unwrap();
    let token = Expiring::new("token".to_owned(), now, now + Duration::from_secs(900));
    cache.get_or_insert_with("key", MAX_AGE, || Ok::<_, Infallible>(token)).unwrap();
    cache
}

fn check(hit: impl FnOnce()) {
    assert_eq!(allocation_counter::measure(hit).count_total, 0);
}

fn unused() -> Result<Expiring<String>, Infallible> {
    unreachable!("the value is in the cache")
}

#[test]
fn measure_sees_allocations() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new(1))).count_total, 1);
}

#[test]
fn hit_by_borrowed_key_allocates_nothing() {
    let cache = filled();
    check(|| assert_eq!(cache.get("key", MAX_AGE).unwrap().value(), "token"));
    check(|| assert!(!cache.get_or_insert_with("key", MAX_AGE, unused).unwrap().is_fresh()));
}

#[test]
fn hit_by_slot_allocates_nothing() {
    let cache = filled();
    let slot = cache.slot("key");
    check(|| assert!(!slot.get_or_insert_with(MAX_AGE, unused).unwrap().is_fresh()));
}

#[test]
fn hit_of_a_fetched_value_allocates_nothing() {
    let cache = filled();
    check(|| {
        let future = pin!(cache.get_or_fetch("key", || async { unused() }));
        let Poll::Ready(found) = future.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a hit waits for nothing");
        };
        assert!(!found.unwrap().0.is_fresh());
    });
}
