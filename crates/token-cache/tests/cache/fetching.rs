use std::{sync::Arc, time::Duration};

use token_cache::{FetchError, Lease, Renewal};

use crate::support::*;

type Fetched = Result<(Lease<u32>, Option<Renewal<u32, Failure>>), FetchError<Failure>>;

/// Starts 64 tasks, answers the one fetch once all of them wait, and returns what they got.
async fn sixty_four(cache: &TestCache, source: &Source, answer: Answer) -> Vec<Fetched> {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move { cache.get_or_fetch(KEY, source.fetch()).await })
        })
        .collect();
    while cache.stats().misses < 64 {
        tokio::task::yield_now().await;
    }
    source.answer(0, answer);
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_wait_share_one_success() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let results = sixty_four(&cache, &source, Answer::Value(living(&clock, 7, 900))).await;
    for result in results {
        let (lease, renewal) = result.unwrap();
        assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (7, true, true));
    }
    let stats = cache.stats();
    assert_eq!((source.asked(), stats.fetches, stats.waits), (1, 1, 63));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_wait_share_one_failure() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let down: Failure = "down".into();
    for result in sixty_four(&cache, &source, Answer::Fail(Arc::clone(&down))).await {
        match result {
            Err(FetchError::Failed(error)) => assert!(Arc::ptr_eq(&error, &down)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((source.asked(), cache.stats().fetches_failed), (1, 1));
}

#[test]
fn failure_without_a_living_value_is_tried_again_at_once() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    for attempt in 0..4 {
        source.fail(attempt);
        assert!(finish(cache.get_or_fetch(KEY, source.fetch())).is_err());
        assert_eq!(source.asked(), attempt + 1);
    }
}

#[test]
fn living_value_is_served_without_a_fetch() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    clock.advance(secs(799));
    let (lease, renewal) = finish(cache.get_or_fetch(KEY, source.fetch())).unwrap();
    assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (1, false, true));
    assert_eq!(source.asked(), 0);
}

#[test]
fn waiters_dropped_on_a_hanging_source_start_one_fetch() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    for _ in 0..64 {
        let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
        assert!(poll_once(&mut waiter).is_pending());
        clock.advance(Duration::from_millis(100));
    }
    assert_eq!((source.asked(), cache.stats().fetches), (1, 1));
    source.succeed(0, living(&clock, 1, 900));
    assert_eq!(*finish(cache.get_or_fetch(KEY, source.fetch())).unwrap().0.value(), 1);
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn waiter_is_woken_after_the_driver_is_dropped() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut driver = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut driver).is_pending());
    let waiter = tokio::spawn({
        let (cache, source) = (cache.clone(), source.clone());
        async move { cache.get_or_fetch(KEY, source.fetch()).await.map(|(lease, _)| *lease.value()) }
    });
    while cache.stats().waits < 1 {
        tokio::task::yield_now().await;
    }
    drop(driver);
    source.succeed(0, living(&clock, 1, 900));
    assert_eq!(waiter.await.unwrap(), Ok(1));
}

#[test]
fn fetch_times_out_with_its_own_error() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(Duration::from_millis(9_999));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(Duration::from_millis(1));
    assert!(matches!(finish(waiter), Err(FetchError::TimedOut(limit)) if limit == secs(10)));
    source.succeed(1, living(&clock, 1, 900));
    assert_eq!(*finish(cache.get_or_fetch(KEY, source.fetch())).unwrap().0.value(), 1);
}

#[tokio::test]
async fn timeout_wakes_the_waiter() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let waiter = tokio::spawn({
        let (cache, source) = (cache.clone(), source.clone());
        async move { cache.get_or_fetch(KEY, source.fetch()).await.map(|_| ()) }
    });
    while source.asked() < 1 {
        tokio::task::yield_now().await;
    }
    clock.advance(secs(10));
    assert_eq!(waiter.await.unwrap(), Err(FetchError::TimedOut(secs(10))));
}

#[test]
fn abandoned_fetch_is_replaced_after_thirty_seconds() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut first = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    clock.advance(secs(30) + Duration::from_millis(1));
    let mut second = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut second).is_pending());
    assert_eq!(source.asked(), 2);
    // The one that was replaced brings its own waiter a value, and does not touch the slot.
    source.succeed(0, living(&clock, 1, 900));
    assert_eq!(*finish(first).unwrap().0.value(), 1);
    assert!(cache.is_empty());
    source.succeed(1, living(&clock, 2, 900));
    assert_eq!(*finish(second).unwrap().0.value(), 2);
    assert_eq!(cache.len(), 1);
}

#[test]
fn fetch_of_exactly_thirty_seconds_is_joined() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut first = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    clock.advance(secs(30));
    assert!(matches!(finish(cache.get_or_fetch(KEY, source.fetch())), Err(FetchError::TimedOut(_))));
    assert_eq!(source.asked(), 1);
}

#[test]
fn fetch_from_a_clock_far_ahead_is_replaced() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut first = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    clock.set(clock.now() - secs(3600));
    source.succeed(1, living(&clock, 2, 900));
    assert_eq!(*finish(cache.get_or_fetch(KEY, source.fetch())).unwrap().0.value(), 2);
}

#[test]
fn panic_reaches_every_waiter_and_leaves_the_slot_usable() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut first = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    let mut second = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    source.answer(0, Answer::Panic);
    assert!(matches!(finish(second), Err(FetchError::Panicked)));
    assert!(matches!(finish(first), Err(FetchError::Panicked)));
    source.succeed(1, living(&clock, 1, 900));
    assert_eq!(*finish(cache.get_or_fetch(KEY, source.fetch())).unwrap().0.value(), 1);
}

#[test]
fn panic_before_the_future_exists_is_an_error_too() {
    let clock = clock();
    let cache = cache(&clock);
    let fetch = || -> std::future::Ready<Result<_, Failure>> { std::panic::resume_unwind(Box::new("early")) };
    assert!(matches!(finish(cache.get_or_fetch(KEY, fetch)), Err(FetchError::Panicked)));
}

#[test]
fn value_that_has_expired_is_an_error() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    source.succeed(0, living(&clock, 1, 900));
    clock.advance(secs(903));
    let error = finish(cache.get_or_fetch(KEY, source.fetch())).unwrap_err();
    assert_eq!(error, FetchError::Expired(secs(3)));
    assert!(cache.is_empty());
}

#[test]
fn keys_do_not_share_fetches() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut one = Box::pin(cache.get_or_fetch("one", source.fetch()));
    let mut two = Box::pin(cache.get_or_fetch("two", source.fetch()));
    assert!(poll_once(&mut one).is_pending() && poll_once(&mut two).is_pending());
    assert_eq!(source.asked(), 2);
}

#[test]
fn value_made_in_place_meanwhile_does_not_fail_the_fetch() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(living(&clock, 1, 900))).unwrap();
    source.succeed(0, living(&clock, 2, 900));
    assert_eq!(*finish(waiter).unwrap().0.value(), 2);
    assert_eq!((*cache.get(KEY, ANY_AGE).unwrap().value(), cache.stats().renewals_failed), (2, 0));
}

#[test]
fn value_that_expires_at_this_very_moment_has_expired() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    source.succeed(0, living(&clock, 1, 0));
    assert_eq!(finish(cache.get_or_fetch(KEY, source.fetch())).unwrap_err(), FetchError::Expired(secs(0)));
}
