use token_cache::{FetchError, Lease, ManualClock, Renewal};

use crate::support::*;

/// A value of 1000 s, whose lead begins at 800 s and whose margin at 940 s.
fn filled(clock: &ManualClock) -> (TestCache, Source) {
    let cache = cache(clock);
    fill(&cache, clock, 1, 1000);
    (cache, Source::default())
}

fn ask(cache: &TestCache, source: &Source) -> (Lease<u32>, Option<Renewal<u32, Failure>>) {
    finish(cache.get_or_fetch(KEY, source.fetch())).unwrap()
}

#[test]
fn one_caller_within_the_lead_gets_the_renewal() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    let answers: Vec<_> = (0..8).map(|_| ask(&cache, &source)).collect();
    assert!(answers.iter().all(|(lease, _)| *lease.value() == 1 && !lease.is_fresh()));
    assert_eq!(answers.iter().filter(|(_, renewal)| renewal.is_some()).count(), 1);
    assert_eq!(source.asked(), 0);
}

#[test]
fn renewal_stores_the_new_value() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    source.succeed(0, living(&clock, 2, 1000));
    let renewal = ask(&cache, &source).1.unwrap();
    let renewed = finish(renewal.run()).unwrap();
    let (lease, renewal) = ask(&cache, &source);
    assert_eq!((*lease.value(), renewal.is_none()), (2, true));
    assert_eq!(lease.generation(), renewed.generation());
}

#[test]
fn running_renewal_keeps_nobody_waiting() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    let mut running = Box::pin(ask(&cache, &source).1.unwrap().run());
    assert!(poll_once(&mut running).is_pending());
    let (lease, renewal) = ask(&cache, &source);
    assert_eq!((*lease.value(), renewal.is_none()), (1, true));
}

#[test]
fn dropped_renewal_is_offered_again_as_the_same_attempt() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    let mut running = Box::pin(ask(&cache, &source).1.unwrap().run());
    assert!(poll_once(&mut running).is_pending());
    drop(running);
    let renewal = ask(&cache, &source).1.unwrap();
    source.succeed(0, living(&clock, 2, 1000));
    assert_eq!(*finish(renewal.run()).unwrap().value(), 2);
    assert_eq!(source.asked(), 1);
}

#[test]
fn failed_renewals_back_off_from_one_second_to_thirty() {
    let clock = clock();
    let cache = cache(&clock);
    fill(&cache, &clock, 1, 10_000);
    let source = Source::default();
    clock.advance(secs(8_000));
    for (attempt, wait) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        source.fail(attempt);
        let renewal = ask(&cache, &source).1.expect("a renewal is due");
        assert!(matches!(finish(renewal.run()), Err(FetchError::Failed(_))));
        clock.advance(secs(wait - 1));
        assert!(ask(&cache, &source).1.is_none(), "{wait} s have not passed");
        clock.advance(secs(1));
    }
    assert_eq!(cache.stats().renewals_failed, 7);
}

#[test]
fn success_ends_the_backoff() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    for attempt in 0..3 {
        source.fail(attempt);
        finish(ask(&cache, &source).1.unwrap().run()).unwrap_err();
        clock.advance(secs(10));
    }
    source.succeed(3, living(&clock, 2, 1000));
    finish(ask(&cache, &source).1.unwrap().run()).unwrap();
    clock.advance(secs(800));
    source.fail(4);
    finish(ask(&cache, &source).1.unwrap().run()).unwrap_err();
    clock.advance(secs(1));
    assert!(ask(&cache, &source).1.is_some());
}

#[test]
fn clock_set_back_before_the_failure_ends_the_backoff() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(850));
    source.fail(0);
    finish(ask(&cache, &source).1.unwrap().run()).unwrap_err();
    clock.set(clock.now() - secs(40));
    assert!(ask(&cache, &source).1.is_some());
}

#[test]
fn renewal_that_does_not_extend_the_expiry_counts_as_failed() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    source.succeed(0, living(&clock, 2, 200));
    assert_eq!(finish(ask(&cache, &source).1.unwrap().run()).unwrap_err(), FetchError::NotExtended);
    let (lease, renewal) = ask(&cache, &source);
    assert_eq!((*lease.value(), renewal.is_none(), cache.stats().renewals_failed), (1, true, 1));
}

#[test]
fn panicking_renewal_leaves_the_living_value() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    source.answer(0, Answer::Panic);
    assert_eq!(finish(ask(&cache, &source).1.unwrap().run()).unwrap_err(), FetchError::Panicked);
    assert_eq!(*ask(&cache, &source).0.value(), 1);
}

#[test]
fn callers_within_the_margin_wait_for_one_reload() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(940));
    let mut one = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    let mut two = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut one).is_pending() && poll_once(&mut two).is_pending());
    source.succeed(0, living(&clock, 2, 1000));
    for waiter in [one, two] {
        let (lease, renewal) = finish(waiter).unwrap();
        assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (2, true, true));
    }
    assert_eq!(source.asked(), 1);
}

#[test]
fn failed_reload_within_the_margin_serves_the_valid_value() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(940));
    source.fail(0);
    let (lease, _) = ask(&cache, &source);
    assert_eq!((*lease.value(), lease.is_fresh()), (1, false));
    // And the back-off keeps the next callers from waiting.
    assert_eq!(*ask(&cache, &source).0.value(), 1);
    assert_eq!((source.asked(), cache.stats().stale_served), (1, 1));
}

#[test]
fn reload_that_fails_after_the_expiry_is_an_error() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(995));
    let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(secs(5));
    source.fail(0);
    assert!(matches!(finish(waiter), Err(FetchError::Failed(_))));
}

#[test]
fn expired_value_is_fetched_anew_whatever_the_backoff() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(999));
    source.fail(0);
    ask(&cache, &source);
    clock.set(clock.now() + std::time::Duration::from_millis(999));
    assert_eq!(*ask(&cache, &source).0.value(), 1);
    clock.advance(std::time::Duration::from_millis(1));
    source.succeed(1, living(&clock, 2, 1000));
    assert_eq!(*ask(&cache, &source).0.value(), 2);
}

#[test]
fn caller_within_the_margin_drives_a_renewal_that_nobody_runs() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(939));
    let _never_run = ask(&cache, &source).1.unwrap();
    clock.advance(secs(1));
    source.succeed(0, living(&clock, 2, 1000));
    assert_eq!(*ask(&cache, &source).0.value(), 2);
}

#[test]
fn renewal_that_is_never_run_is_replaced_after_thirty_seconds() {
    let clock = clock();
    let (cache, source) = filled(&clock);
    clock.advance(secs(800));
    let _never_run = ask(&cache, &source).1.unwrap();
    let fetches = cache.stats().fetches;
    clock.advance(secs(30));
    assert!(ask(&cache, &source).1.is_none());
    clock.advance(secs(1));
    assert!(ask(&cache, &source).1.is_some());
    assert_eq!(cache.stats().fetches, fetches + 1);
}

#[test]
fn lead_is_drawn_once_per_value_from_fifteen_to_twenty_five_percent() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..32 {
        let clock = clock();
        let cache: TestCache =
            token_cache::Cache::builder().clock(std::sync::Arc::new(clock.clone())).build().unwrap();
        let issued_at = clock.now();
        fill(&cache, &clock, 1, 10_000);
        let is_due = |at: u64| {
            clock.set(issued_at + secs(at));
            ask(&cache, &Source::default()).1.is_some()
        };
        assert!(!is_due(7_499) && is_due(8_500));
        let begins = (7_500..=8_500).find(|at| is_due(*at)).unwrap();
        assert!(is_due(begins) && !is_due(begins - 1), "drawn anew");
        seen.insert(begins);
    }
    assert!(seen.len() > 16, "{seen:?}");
}
