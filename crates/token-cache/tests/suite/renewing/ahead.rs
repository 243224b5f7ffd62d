//! Renewal ahead of expiry, and its backoff.

use token_cache::{Expiring, FetchError, Lease, ManualClock, Renewal};

use crate::support::*;

/// A value of 1000 s, whose refresh window begins at 800 s and whose expiry buffer at 940 s.
fn filled(clock: &ManualClock) -> (TestCell, Source) {
    let cell = cell(clock);
    fill(&cell, clock, 1, 1000);
    (cell, Source::default())
}

fn ask(cell: &TestCell, source: &Source) -> (Lease<u32>, Option<Renewal<u32, Failure>>) {
    finish(cell.get(source.fetch())).unwrap()
}

#[test]
fn one_caller_within_the_refresh_window_gets_the_renewal() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    let answers: Vec<_> = (0..8).map(|_| ask(&cell, &source)).collect();
    assert!(answers.iter().all(|(lease, _)| *lease.value() == 1 && !lease.is_fresh()));
    assert_eq!(answers.iter().filter(|(_, renewal)| renewal.is_some()).count(), 1);
    assert_eq!(source.asked(), 0);
}

#[test]
fn renewal_stores_the_new_value() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    source.succeed(0, unexpired(&clock, 2, 1000));
    let renewal = ask(&cell, &source).1.unwrap();
    let renewed = finish(renewal.run()).unwrap();
    let (lease, renewal) = ask(&cell, &source);
    assert_eq!((*lease.value(), renewal.is_none()), (2, true));
    assert_eq!(lease.generation(), renewed.generation());
}

#[test]
fn running_renewal_keeps_no_caller_waiting() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    let mut running = Box::pin(ask(&cell, &source).1.unwrap().run());
    assert!(poll_once(&mut running).is_pending());
    let (lease, renewal) = ask(&cell, &source);
    assert_eq!((*lease.value(), renewal.is_none()), (1, true));
}

#[test]
fn dropped_renewal_is_offered_again_as_the_same_attempt() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    let mut running = Box::pin(ask(&cell, &source).1.unwrap().run());
    assert!(poll_once(&mut running).is_pending());
    drop(running);
    let renewal = ask(&cell, &source).1.unwrap();
    source.succeed(0, unexpired(&clock, 2, 1000));
    assert_eq!(*finish(renewal.run()).unwrap().value(), 2);
    assert_eq!(source.asked(), 1);
}

#[test]
fn failed_renewals_back_off_from_one_second_to_thirty() {
    let clock = clock();
    let cell = cell(&clock);
    fill(&cell, &clock, 1, 10_000);
    let source = Source::default();
    clock.advance(secs(9_400));
    for (attempt, wait) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        source.fail(attempt);
        let renewal = ask(&cell, &source).1.expect("a renewal is due");
        assert!(matches!(finish(renewal.run()), Err(FetchError::Failed(_))));
        clock.advance(secs(wait - 1));
        assert!(ask(&cell, &source).1.is_none(), "{wait} s have not passed");
        clock.advance(secs(1));
    }
    assert_eq!(cell.stats().renewals_failed, 7);
}

#[test]
fn clock_that_is_set_back_a_little_ends_the_backoff() {
    let clock = clock();
    let cell = cell(&clock);
    fill(&cell, &clock, 1, 10_000);
    let source = Source::default();
    clock.advance(secs(9_400));
    for attempt in 0..3 {
        source.fail(attempt);
        let renewal = ask(&cell, &source).1.expect("a renewal is due");
        assert!(finish(renewal.run()).is_err());
        clock.set(clock.now() - secs(1));
    }
    assert_eq!(source.asked(), 3);
}

#[test]
fn success_ends_the_backoff() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    for attempt in 0..3 {
        source.fail(attempt);
        finish(ask(&cell, &source).1.unwrap().run()).unwrap_err();
        clock.advance(secs(10));
    }
    source.succeed(3, unexpired(&clock, 2, 1000));
    finish(ask(&cell, &source).1.unwrap().run()).unwrap();
    clock.advance(secs(800));
    source.fail(4);
    finish(ask(&cell, &source).1.unwrap().run()).unwrap_err();
    clock.advance(secs(1));
    assert!(ask(&cell, &source).1.is_some());
}

#[test]
fn clock_set_back_before_the_failure_ends_the_backoff() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(850));
    source.fail(0);
    finish(ask(&cell, &source).1.unwrap().run()).unwrap_err();
    clock.set(clock.now() - secs(40));
    assert!(ask(&cell, &source).1.is_some());
}

#[test]
fn panicking_renewal_leaves_the_unexpired_value() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    source.answer(0, Answer::Panic);
    assert_eq!(finish(ask(&cell, &source).1.unwrap().run()).unwrap_err(), FetchError::Panicked);
    assert_eq!(*ask(&cell, &source).0.value(), 1);
}

#[test]
fn callers_within_the_expiry_buffer_wait_for_one_reload() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(940));
    let mut one = Box::pin(cell.get(source.fetch()));
    let mut two = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut one).is_pending() && poll_once(&mut two).is_pending());
    source.succeed(0, unexpired(&clock, 2, 1000));
    for waiter in [one, two] {
        let (lease, renewal) = finish(waiter).unwrap();
        assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (2, true, true));
    }
    assert_eq!(source.asked(), 1);
}

#[test]
fn failed_reload_within_the_expiry_buffer_serves_the_valid_value() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(940));
    source.fail(0);
    let (lease, _) = ask(&cell, &source);
    assert_eq!((*lease.value(), lease.is_fresh()), (1, false));
    // And the back-off keeps the next callers from waiting.
    assert_eq!(*ask(&cell, &source).0.value(), 1);
    assert_eq!((source.asked(), cell.stats().stale_served), (1, 1));
}

#[test]
fn reload_that_fails_after_the_expiry_is_an_error() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(995));
    let mut waiter = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(secs(5));
    source.fail(0);
    assert!(matches!(finish(waiter), Err(FetchError::Failed(_))));
}

#[test]
fn expired_value_is_fetched_again_despite_the_backoff() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(999));
    source.fail(0);
    ask(&cell, &source);
    clock.set(clock.now() + std::time::Duration::from_millis(999));
    assert_eq!(*ask(&cell, &source).0.value(), 1);
    clock.advance(std::time::Duration::from_millis(1));
    source.succeed(1, unexpired(&clock, 2, 1000));
    assert_eq!(*ask(&cell, &source).0.value(), 2);
}

#[test]
fn caller_within_the_expiry_buffer_drives_an_abandoned_renewal() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(939));
    let _never_run = ask(&cell, &source).1.unwrap();
    clock.advance(secs(1));
    source.succeed(0, unexpired(&clock, 2, 1000));
    assert_eq!(*ask(&cell, &source).0.value(), 2);
}

#[test]
fn renewal_that_does_not_extend_the_expiry_is_no_failure_and_rests() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    for (attempt, wait) in [1, 2, 4].into_iter().enumerate() {
        let left = 1000 - 800 - (1 << attempt) + 1;
        source.succeed(attempt, unexpired(&clock, 2, left));
        assert_eq!(finish(ask(&cell, &source).1.unwrap().run()).unwrap_err(), FetchError::NotExtended);
        clock.advance(secs(wait - 1));
        let (lease, renewal) = ask(&cell, &source);
        assert_eq!((*lease.value(), renewal.is_none()), (1, true));
        clock.advance(secs(1));
    }
    assert_eq!((cell.stats().fetches, cell.stats().renewals_failed), (4, 0));
}

#[test]
fn renewal_that_is_never_run_is_replaced_at_its_time_limit() {
    let clock = clock();
    let (cell, source) = filled(&clock);
    clock.advance(secs(800));
    let _never_run = ask(&cell, &source).1.unwrap();
    let fetches = cell.stats().fetches;
    clock.advance(secs(9));
    assert!(ask(&cell, &source).1.is_none());
    clock.advance(secs(1));
    assert!(ask(&cell, &source).1.is_some());
    assert_eq!(cell.stats().fetches, fetches + 1);
}

/// The ages at which a value of so long a life is renewed, in several cells.
fn ages(life: u64) -> std::collections::BTreeSet<u64> {
    let age = |_| {
        let clock = clock();
        let issued_at = clock.now();
        let cell = TestCell::new(std::sync::Arc::new(clock.clone()), secs(10));
        fill(&cell, &clock, 1, life);
        // By halves: the renewal is due from one age on.
        let (mut early, mut late) = (0, life - 61);
        while late - early > 1 {
            let middle = early.midpoint(late);
            clock.set(issued_at + secs(middle));
            let is_due = cell.try_get(std::future::pending).is_some_and(|(_, renewal)| renewal.is_some());
            *if is_due { &mut late } else { &mut early } = middle;
        }
        // Drawn once: just before it nothing is due.
        clock.set(issued_at + secs(early));
        assert!(cell.try_get(std::future::pending).unwrap().1.is_none());
        late
    };
    (0..64).map(age).collect()
}

#[test]
fn refresh_window_is_drawn_from_fifteen_to_twenty_five_percent() {
    let ages = ages(3_000);
    assert!(ages.iter().all(|age| (2_250..=2_550).contains(age)), "{ages:?}");
    assert!(ages.len() > 16, "{ages:?}");
}

#[test]
fn refresh_window_of_a_long_life_is_fifteen_minutes_at_most_and_still_drawn() {
    for life in [6 * 3_600, 12 * 3_600, 1 << 40] {
        let ages = ages(life);
        assert!(ages.iter().all(|age| (life - 900..=life - 540).contains(age)), "{ages:?}");
        assert!(ages.len() > 16, "{ages:?}");
    }
}

#[test]
fn short_life_is_renewed_before_anybody_waits() {
    for life in [20, 40, 61, 90, 120, 300] {
        let clock = clock();
        let (cell, source) = (cell(&clock), Source::default());
        fill(&cell, &clock, 0, life);
        let mut attempt = 0;
        for _ in 0..10 * life {
            clock.advance(secs(1));
            let (lease, renewal) = ask(&cell, &source);
            assert!(lease.expires_at().unwrap() > clock.now());
            if let Some(renewal) = renewal {
                source.succeed(attempt, unexpired(&clock, 1, life));
                finish(renewal.run()).unwrap();
                attempt += 1;
            }
        }
        assert_eq!((cell.stats().misses, source.asked() <= 21), (1, true), "{life} s: {}", source.asked());
    }
}

#[test]
fn values_that_are_always_near_their_end_are_asked_for_once_in_five_seconds() {
    let clock = clock();
    let cell = cell(&clock);
    let mut loads = 0_u32;
    // The source gives what it has until a second before its end.
    let mut end = clock.now();
    for _ in 0..600 {
        if end <= clock.now() + secs(1) {
            end = clock.now() + secs(59);
        }
        let made = Expiring::new(0, clock.now(), end);
        let before = cell.stats().fetches;
        let (lease, renewal) = finish(cell.get(move || async move { Ok(made) })).unwrap();
        renewal.map(|renewal| finish(renewal.run()));
        assert!(lease.expires_at().unwrap() > clock.now());
        loads += (cell.stats().fetches - before) as u32;
        clock.advance(secs(1));
    }
    assert!(loads <= 600 / 5 + 1, "{loads}");
}

#[test]
fn old_values_that_last_another_minute_each_are_asked_for_once_in_five_seconds() {
    let clock = clock();
    let cell = cell(&clock);
    let issued_at = clock.now() - secs(6 * 3_600);
    for _ in 0..600 {
        // Each is better than the one before, and near its end from the start.
        let made = Expiring::new(0, issued_at, clock.now() + secs(50));
        let (lease, renewal) = finish(cell.get(move || async move { Ok(made) })).unwrap();
        assert!(renewal.is_none() && lease.expires_at().unwrap() > clock.now());
        clock.advance(secs(1));
    }
    let fetches = cell.stats().fetches;
    assert!((100..=600 / 5 + 1).contains(&fetches), "{fetches}");
}

#[test]
fn value_without_an_end_is_renewed_beside_and_served_while_its_source_is_down() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let endless = |value| Expiring::without_end(value, clock.now(), secs(900));
    source.succeed(0, endless(1));
    assert_eq!(ask(&cell, &source).0.expires_at(), None);
    clock.advance(secs(719));
    assert!(ask(&cell, &source).1.is_none());
    clock.advance(secs(1));
    for attempt in 1..50 {
        source.fail(attempt);
        finish(ask(&cell, &source).1.unwrap().run()).unwrap_err();
        assert!(ask(&cell, &source).1.is_none());
        clock.advance(secs(30));
    }
    source.succeed(50, endless(2));
    finish(ask(&cell, &source).1.unwrap().run()).unwrap();
    let (lease, renewal) = ask(&cell, &source);
    assert_eq!((*lease.value(), renewal.is_none(), cell.stats().misses), (2, true, 1));
}

#[test]
fn clock_that_was_set_back_does_not_put_a_renewal_off() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    source.succeed(0, Expiring::without_end(1, clock.now(), secs(900)));
    ask(&cell, &source);
    clock.set(clock.now() - secs(3_600));
    assert!(ask(&cell, &source).1.is_some());
}

#[test]
fn try_get_waits_for_nothing_and_starts_only_renewals() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    assert!(cell.try_get(source.fetch()).is_none());
    fill(&cell, &clock, 1, 1000);
    assert!(cell.try_get(source.fetch()).unwrap().1.is_none());
    clock.advance(secs(800));
    let (lease, renewal) = cell.try_get(source.fetch()).unwrap();
    source.succeed(0, unexpired(&clock, 2, 1000));
    assert_eq!((*lease.value(), *finish(renewal.unwrap().run()).unwrap().value()), (1, 2));
    clock.advance(secs(950));
    assert!(cell.try_get(source.fetch()).is_none());
    assert_eq!(cell.stats().fetches, 2);
}
