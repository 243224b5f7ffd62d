//! What the types promise.

use std::{error::Error, fmt::Debug, io};

use token_cache::*;

use crate::support::*;

fn shared<T: Send + Sync + 'static>() {}

#[test]
fn types_are_send_and_sync() {
    shared::<Cache<String, u32, Failure>>();
    shared::<CacheBuilder<String, u32, Failure>>();
    shared::<Expiring<u32>>();
    shared::<FetchError<Failure>>();
    shared::<Lease<u32>>();
    shared::<ManualClock>();
    shared::<Renewal<u32, Failure>>();
    shared::<Slot<u32, Failure>>();
}

#[test]
fn futures_are_send() {
    fn check<T: Send>(future: T) -> T {
        future
    }
    let clock = clock();
    let cache = cache(&clock);
    fill(&cache, &clock, 1, 900);
    let lease = cache.get(KEY, ANY_AGE).unwrap();
    drop(check(cache.get_or_fetch(KEY, || async { Err("".into()) })));
    drop(check(cache.refetch(KEY, &lease, || async { Err("".into()) })));
    drop(check(cache.slot(KEY).get_or_fetch(|| async { Err("".into()) })));
    clock.advance(secs(730));
    let renewal = finish(cache.get_or_fetch(KEY, || async { Err("".into()) })).unwrap().1.unwrap();
    drop(check(renewal.run()));
}

#[test]
fn clock_is_object_safe_also_behind_two_arcs() {
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(clock());
    let now = clock.now();
    assert_eq!(std::sync::Arc::new(clock).now(), now);
}

#[test]
fn debug_prints_no_value() {
    const SECRET: &str = "hunter2";
    fn check(shown: &dyn Debug) {
        let text = format!("{shown:?} {shown:#?}");
        assert!(!text.contains(SECRET), "{text}");
    }
    let clock = clock();
    let (issued_at, expires_at) = (clock.now(), clock.now() + secs(1000));
    let secret = move || Expiring::new(SECRET.to_owned(), issued_at, expires_at);
    let cache: Cache<String, String, Failure> =
        Cache::builder().clock(std::sync::Arc::new(clock.clone())).build().unwrap();
    check(&Cache::<String, String, Failure>::builder());
    check(&secret());
    check(&finish(cache.get_or_fetch(KEY, move || async move { Ok(secret()) })).unwrap());
    check(&cache);
    check(&cache.slot(KEY));
    check(&cache.stats());
    clock.advance(secs(900));
    let (lease, renewal) = finish(cache.get_or_fetch(KEY, move || async move { Ok(secret()) })).unwrap();
    assert_eq!(lease.value(), SECRET);
    check(&lease);
    check(&renewal.unwrap());
}

#[test]
fn failed_fetch_names_its_cause_only_as_the_source() {
    let error = FetchError::Failed(io::Error::other("no route"));
    assert_eq!(error.to_string(), "fetch failed");
    assert_eq!(error.source().unwrap().to_string(), "no route");
}

#[test]
fn other_failures_stand_alone() {
    for (error, text) in [
        (FetchError::Expired(secs(3)), "fetched value expired 3s ago: check the clock and the source"),
        (FetchError::NotExtended, "fetched value expires no later than the one it was to renew"),
        (FetchError::Panicked, "fetch panicked"),
        (FetchError::TimedOut(secs(10)), "fetch timed out after 10s"),
    ] {
        let error: FetchError<std::fmt::Error> = error;
        assert!(error.source().is_none());
        assert_eq!(error.to_string(), text);
    }
}
