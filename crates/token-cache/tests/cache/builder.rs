use std::{sync::Arc, time::Duration};

use token_cache::{Cache, CacheBuilder, ErrorKind};

use crate::support::*;

fn check(builder: CacheBuilder<String, u32, Failure>, kind: ErrorKind, names: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(error.to_string().contains(names), "{error}");
}

#[test]
fn defaults_build() {
    assert!(Cache::<String, u32, Failure>::builder().clock(Arc::new(clock())).build().unwrap().is_empty());
}

#[test]
fn missing_clock_is_refused() {
    check(Cache::builder(), ErrorKind::Clock, "CacheBuilder::clock");
}

#[test]
fn zero_capacity_is_refused() {
    check(builder(&clock()).capacity(0), ErrorKind::Capacity, "capacity 0");
}

#[test]
fn lead_beyond_the_whole_life_is_refused() {
    check(builder(&clock()).renew_ahead(15..=101), ErrorKind::RenewAhead, "101");
}

#[test]
fn lead_that_ends_before_it_begins_is_refused() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    check(builder(&clock()).renew_ahead(25..=15), ErrorKind::RenewAhead, "25");
}

#[test]
fn backoff_from_zero_is_refused() {
    check(builder(&clock()).backoff(Duration::ZERO..=secs(30)), ErrorKind::Backoff, "0ns");
}

#[test]
fn backoff_that_shrinks_is_refused() {
    check(builder(&clock()).backoff(secs(31)..=secs(30)), ErrorKind::Backoff, "31s");
}

#[test]
fn replacing_fetches_that_are_still_in_time_is_refused() {
    check(builder(&clock()).fetch_timeout(secs(31)), ErrorKind::Timeout, "31s");
}

#[test]
fn zero_fetch_timeout_is_refused() {
    check(builder(&clock()).fetch_timeout(Duration::ZERO), ErrorKind::Timeout, "0ns");
}

#[test]
fn longest_times_do_not_overflow() {
    let clock = clock();
    let longest = Duration::MAX;
    let cache = builder(&clock)
        .margin(longest)
        .stuck_after(longest)
        .fetch_timeout(longest)
        .backoff(longest..=longest)
        .build()
        .unwrap();
    fill(&cache, &clock, 1, 900);
    assert!(finish(cache.get_or_fetch(KEY, || async { Err("down".into()) })).is_ok());
    assert!(finish(cache.get_or_fetch(KEY, || async { Err("down".into()) })).is_ok());
    assert!(cache.get(KEY, longest).is_none());
}
