//! A hit allocates nothing.

use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use token_cache::{Cache, Expiring, ManualClock, Renewing};

const MAX_AGE: Duration = Duration::from_secs(600);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
}

fn value() -> Result<Expiring<String>, Infallible> {
    let now = clock().now();
    Ok(Expiring::new("token".to_owned(), now, now + Duration::from_secs(900)))
}

fn check(hit: impl FnOnce()) {
    assert_eq!(allocation_counter::measure(hit).count_total, 0);
}

fn unused() -> Result<Expiring<String>, Infallible> {
    unreachable!("the value is held")
}

#[test]
fn measure_sees_allocations() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new(1))).count_total, 1);
}

#[test]
fn hit_by_borrowed_key_allocates_nothing() {
    let cache: Cache<String, String> = Cache::new(clock());
    cache.get_or_insert_with("key", MAX_AGE, value).unwrap();
    check(|| assert_eq!(cache.get("key", MAX_AGE).unwrap().value(), "token"));
    check(|| assert!(!cache.get_or_insert_with("key", MAX_AGE, unused).unwrap().is_fresh()));
}

#[test]
fn hit_of_a_fetched_value_allocates_nothing() {
    let cell: Renewing<String, Infallible> = Renewing::new(clock(), Duration::from_secs(10));
    fn finish<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }
    finish(cell.get(|| async { value() })).unwrap();
    check(|| assert!(!finish(cell.get(|| async { unused() })).unwrap().0.is_fresh()));
    check(|| assert!(cell.try_get(|| async { unused() }).is_some()));
}
