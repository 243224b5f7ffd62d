//! Fetching again after a value was refused.

use token_cache::FetchError;

use crate::support::*;

#[test]
fn refused_callers_share_one_refetch() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    let refused = held(&cell).unwrap();
    let mut waiters: Vec<_> = (0..100).map(|_| Box::pin(cell.refetch(&refused, source.fetch()))).collect();
    assert!(waiters.iter_mut().all(|waiter| poll_once(waiter).is_pending()));
    source.succeed(0, unexpired(&clock, 2, 1000));
    assert!(waiters.into_iter().all(|waiter| *finish(waiter).unwrap().value() == 2));
    // One who was refused at the same time and comes late.
    let late = finish(cell.refetch(&refused, source.fetch())).unwrap();
    assert_eq!((*late.value(), late.is_fresh(), source.asked()), (2, false, 1));
}

#[test]
fn refetch_that_fails_keeps_the_unexpired_value() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    let refused = held(&cell).unwrap();
    source.fail(0);
    assert!(matches!(finish(cell.refetch(&refused, source.fetch())), Err(FetchError::Failed(_))));
    assert_eq!(*held(&cell).unwrap().value(), 1);
}

#[test]
fn refetch_heeds_no_backoff() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    let refused = held(&cell).unwrap();
    for attempt in 0..3 {
        source.fail(attempt);
        assert!(finish(cell.refetch(&refused, source.fetch())).is_err());
    }
    assert_eq!(source.asked(), 3);
}

#[test]
fn refetch_takes_a_value_that_expires_no_later() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    let refused = held(&cell).unwrap();
    source.succeed(0, unexpired(&clock, 2, 500));
    assert_eq!(*finish(cell.refetch(&refused, source.fetch())).unwrap().value(), 2);
    assert_eq!(*held(&cell).unwrap().value(), 2);
}

#[test]
fn refetch_joins_a_running_renewal_and_takes_what_it_brings() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    clock.advance(secs(850));
    let (refused, renewal) = finish(cell.get(source.fetch())).unwrap();
    let mut renewal = Box::pin(renewal.unwrap().run());
    assert!(poll_once(&mut renewal).is_pending());
    let mut waiter = Box::pin(cell.refetch(&refused, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    source.succeed(0, unexpired(&clock, 2, 100));
    assert_eq!(*finish(waiter).unwrap().value(), 2);
    assert_eq!((*finish(renewal).unwrap().value(), source.asked()), (2, 1));
}
