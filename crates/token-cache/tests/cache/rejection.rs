use token_cache::FetchError;

use crate::support::*;

#[test]
fn first_rejection_drops_and_the_others_change_nothing() {
    let clock = clock();
    let cache = cache(&clock);
    let make =
        |value| cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(living(&clock, value, 900))).unwrap();
    let leases: Vec<_> = (0..100).map(|_| make(1)).collect();
    assert_eq!(leases.iter().filter(|lease| lease.reject()).count(), 1);
    assert!(cache.is_empty());
    assert_eq!(*make(2).value(), 2);
    assert!(!leases[0].reject());
    assert_eq!(*make(3).value(), 2);
    assert_eq!(cache.stats().rejected, 1);
}

#[test]
fn equal_values_are_two_generations() {
    let clock = clock();
    let cache = cache(&clock);
    let make = || cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(living(&clock, 1, 900))).unwrap();
    let first = make();
    assert!(first.reject());
    let second = make();
    assert_ne!(first.generation(), second.generation());
    assert!(!first.reject() && second.reject());
}

#[test]
fn rejection_outlives_the_cache() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(living(&clock, 1, 900))).unwrap();
    drop(cache);
    assert!(!lease.reject());
    assert_eq!(*lease.value(), 1);
}

#[test]
fn value_rejected_during_a_reload_is_not_served_when_it_fails() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    let lease = cache.get(KEY, ANY_AGE).unwrap();
    clock.advance(secs(950));
    let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    assert!(lease.reject());
    source.fail(0);
    assert!(matches!(finish(waiter), Err(FetchError::Failed(_))));
}

#[test]
fn acceptance_is_shared_by_the_leases_of_a_generation() {
    let clock = clock();
    let cache = cache(&clock);
    fill(&cache, &clock, 1, 1000);
    let (one, two) = (cache.get(KEY, ANY_AGE).unwrap(), cache.get(KEY, ANY_AGE).unwrap());
    assert_eq!(two.last_accepted(), None);
    one.accepted(clock.now());
    assert_eq!(two.last_accepted(), Some(clock.now()));
    one.reject();
    fill(&cache, &clock, 2, 1000);
    assert_eq!(cache.get(KEY, ANY_AGE).unwrap().last_accepted(), None);
}

#[test]
fn refused_callers_share_one_refetch() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    let refused = cache.get(KEY, ANY_AGE).unwrap();
    let mut waiters: Vec<_> =
        (0..100).map(|_| Box::pin(cache.refetch(KEY, &refused, source.fetch()))).collect();
    assert!(waiters.iter_mut().all(|waiter| poll_once(waiter).is_pending()));
    source.succeed(0, living(&clock, 2, 1000));
    assert!(waiters.into_iter().all(|waiter| *finish(waiter).unwrap().value() == 2));
    // One who was refused at the same time and comes late.
    let late = finish(cache.refetch(KEY, &refused, source.fetch())).unwrap();
    assert_eq!((*late.value(), late.is_fresh(), source.asked()), (2, false, 1));
}

#[test]
fn refetch_that_fails_keeps_the_living_value() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    let refused = cache.get(KEY, ANY_AGE).unwrap();
    source.fail(0);
    assert!(matches!(finish(cache.refetch(KEY, &refused, source.fetch())), Err(FetchError::Failed(_))));
    assert_eq!(*cache.get(KEY, ANY_AGE).unwrap().value(), 1);
}

#[test]
fn refetch_heeds_no_backoff() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    let refused = cache.get(KEY, ANY_AGE).unwrap();
    for attempt in 0..3 {
        source.fail(attempt);
        assert!(finish(cache.refetch(KEY, &refused, source.fetch())).is_err());
    }
    assert_eq!(source.asked(), 3);
}

#[test]
fn refetch_takes_a_value_that_expires_no_later() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    let refused = cache.get(KEY, ANY_AGE).unwrap();
    source.succeed(0, living(&clock, 2, 500));
    assert_eq!(*finish(cache.refetch(KEY, &refused, source.fetch())).unwrap().value(), 2);
    assert_eq!(*cache.get(KEY, ANY_AGE).unwrap().value(), 2);
}

#[test]
fn refetch_joins_a_running_renewal_and_takes_what_it_brings() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    clock.advance(secs(850));
    let (refused, renewal) = finish(cache.get_or_fetch(KEY, source.fetch())).unwrap();
    let mut renewal = Box::pin(renewal.unwrap().run());
    assert!(poll_once(&mut renewal).is_pending());
    let mut waiter = Box::pin(cache.refetch(KEY, &refused, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    source.succeed(0, living(&clock, 2, 100));
    assert_eq!(*finish(waiter).unwrap().value(), 2);
    assert_eq!((*finish(renewal).unwrap().value(), source.asked()), (2, 1));
}
