//! Fetches and values of the user's that panic: nobody waits for ever, and no caller pays for it.

use std::sync::Arc;

use token_cache::{Expiring, FetchError, Renewing};

use crate::support::*;

/// Panics when it is dropped.
#[derive(Debug)]
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        // Unlike `panic!`, prints nothing. Not while another panic unwinds: that would abort.
        if !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("drop"));
        }
    }
}

#[test]
fn panic_whose_value_panics_too_reaches_every_waiter() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let (answered, mut bomb) = (source.clone(), Some(PanicsOnDrop));
    let mut first = Box::pin(cell.get(move || async move {
        drop(answered.answered(0).await);
        std::panic::resume_unwind(Box::new(bomb.take()))
    }));
    let mut second = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    source.fail(0);

    assert_eq!(finish(first).unwrap_err(), FetchError::Panicked);
    assert_eq!(finish(second).unwrap_err(), FetchError::Panicked);
    source.succeed(0, unexpired(&clock, 1, 900));
    assert!(finish(cell.get(source.fetch())).is_ok(), "the cell stays usable");
}

#[test]
fn clock_whose_panic_panics_when_dropped_is_an_error() {
    #[derive(Debug)]
    struct Timerless(token_cache::ManualClock);
    impl token_cache::Clock for Timerless {
        fn now(&self) -> std::time::SystemTime {
            self.0.now()
        }
        fn sleep_until(&self, _: std::time::SystemTime) -> token_cache::BoxFuture<'static, ()> {
            std::panic::resume_unwind(Box::new(PanicsOnDrop))
        }
    }
    let source = Source::default();
    let cell = TestCell::new(Arc::new(Timerless(clock())), secs(10));

    assert_eq!(finish(cell.get(source.fetch())).unwrap_err(), FetchError::NoTimer);
}

#[test]
fn fetch_that_panics_when_it_is_dropped_fails_no_caller() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let hangs = || {
        let bomb = PanicsOnDrop;
        move || async move {
            let _bomb = bomb;
            std::future::pending().await
        }
    };
    // Timed out, before others that wait.
    let mut first = Box::pin(cell.get(hangs()));
    let mut second = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    clock.advance(secs(10));
    assert_eq!(finish(first).unwrap_err(), FetchError::TimedOut(secs(10)));
    assert_eq!(finish(second).unwrap_err(), FetchError::TimedOut(secs(10)));
    // Overdue, and cleared.
    for seconds in [10, 0] {
        assert!(poll_once(&mut Box::pin(cell.get(hangs()))).is_pending());
        clock.advance(secs(seconds));
    }
    cell.clear();
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 1);
}

#[test]
fn value_that_panics_when_it_is_dropped_fails_no_caller() {
    let clock = clock();
    let cell: Renewing<PanicsOnDrop, Failure> = Renewing::without_jitter(Arc::new(clock.clone()), secs(10));
    let source = Source::default();
    let (answered, now) = (source.clone(), clock.now());
    let mut first = Box::pin(cell.get(move || async move {
        answered.answered(0).await?;
        Ok(Expiring::new(PanicsOnDrop, now, now))
    }));
    let mut second = Box::pin(cell.get(std::future::pending));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    source.succeed(0, unexpired(&clock, 1, 900));

    assert_eq!(finish(first).map(drop).unwrap_err(), FetchError::Expired(secs(0)));
    assert_eq!(finish(second).map(drop).unwrap_err(), FetchError::Expired(secs(0)));
}
