//! What the types promise.

use std::{error::Error, fmt::Debug, io};

use token_cache::*;

use crate::support::*;

fn shared<T: Send + Sync + 'static>() {}

#[test]
fn types_are_send_and_sync() {
    shared::<Cache<String, u32>>();
    shared::<Expiring<u32>>();
    shared::<FetchError<Failure>>();
    shared::<Lease<u32>>();
    shared::<ManualClock>();
    shared::<Renewal<u32, Failure>>();
    shared::<Renewing<u32, Failure>>();
    shared::<SystemClock>();
}

#[test]
fn futures_are_send() {
    fn check<T: Send>(future: T) -> T {
        future
    }
    let clock = clock();
    let cell = cell(&clock);
    fill(&cell, &clock, 1, 900);
    let lease = held(&cell).unwrap();
    drop(check(cell.get(|| async { Err("".into()) })));
    drop(check(cell.refetch(&lease, || async { Err("".into()) })));
    clock.advance(secs(730));
    let renewal = finish(cell.get(|| async { Err("".into()) })).unwrap().1.unwrap();
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
    let cache: Cache<String, String> = Cache::new(std::sync::Arc::new(clock.clone()));
    check(&secret());
    check(&cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(secret())).unwrap());
    check(&cache);
    check(&cache.stats());
    let cell: Renewing<String, Failure> = Renewing::new(std::sync::Arc::new(clock.clone()), secs(10));
    check(&finish(cell.get(move || async move { Ok(secret()) })).unwrap());
    check(&cell);
    check(&cell.stats());
    clock.advance(secs(900));
    let (lease, renewal) = finish(cell.get(move || async move { Ok(secret()) })).unwrap();
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
        (FetchError::NoTimer, "the clock cannot wait here: call within a runtime that has its timer enabled"),
        (FetchError::NotExtended, "fetched value expires no later than the one it was to renew"),
        (FetchError::Panicked, "fetch panicked"),
        (FetchError::TimedOut(secs(10)), "fetch timed out after 10s"),
    ] {
        let error: FetchError<std::fmt::Error> = error;
        assert!(error.source().is_none());
        assert_eq!(error.to_string(), text);
    }
}
