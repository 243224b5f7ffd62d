//! The fetch that waiting callers share.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use token_cache::{FetchError, Lease, Renewal};

use crate::support::*;

type Fetched = Result<(Lease<u32>, Option<Renewal<u32, Failure>>), FetchError<Failure>>;

/// Starts 64 tasks, answers the one fetch once all of them wait, and returns what they got.
async fn sixty_four(cell: &TestCell, source: &Source, answer: Answer) -> Vec<Fetched> {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (cell, source) = (cell.clone(), source.clone());
            tokio::spawn(async move { cell.get(source.fetch()).await })
        })
        .collect();
    while cell.stats().misses < 64 {
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
    let (cell, source) = (cell(&clock), Source::default());
    let results = sixty_four(&cell, &source, Answer::Value(unexpired(&clock, 7, 900))).await;
    for result in results {
        let (lease, renewal) = result.unwrap();
        assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (7, true, true));
    }
    let stats = cell.stats();
    assert_eq!((source.asked(), stats.fetches, stats.waits), (1, 1, 63));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_wait_share_one_failure() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let down: Failure = "down".into();
    for result in sixty_four(&cell, &source, Answer::Fail(Arc::clone(&down))).await {
        match result {
            Err(FetchError::Failed(error)) => assert!(Arc::ptr_eq(&error, &down)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((source.asked(), cell.stats().fetches_failed), (1, 1));
}

#[test]
fn failure_without_a_unexpired_value_is_tried_again_at_once() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    for attempt in 0..4 {
        source.fail(attempt);
        assert!(finish(cell.get(source.fetch())).is_err());
        assert_eq!(source.asked(), attempt + 1);
    }
}

#[test]
fn unexpired_value_is_served_without_a_fetch() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    clock.advance(secs(799));
    let (lease, renewal) = finish(cell.get(source.fetch())).unwrap();
    assert_eq!((*lease.value(), lease.is_fresh(), renewal.is_none()), (1, false, true));
    assert_eq!(source.asked(), 0);
}

#[test]
fn waiters_dropped_on_a_hanging_source_start_one_fetch() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    for _ in 0..64 {
        let mut waiter = Box::pin(cell.get(source.fetch()));
        assert!(poll_once(&mut waiter).is_pending());
        clock.advance(Duration::from_millis(100));
    }
    assert_eq!((source.asked(), cell.stats().fetches), (1, 1));
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 1);
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn waiter_is_woken_after_the_driver_is_dropped() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut driver = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut driver).is_pending());
    let waiter = tokio::spawn({
        let (cell, source) = (cell.clone(), source.clone());
        async move { cell.get(source.fetch()).await.map(|(lease, _)| *lease.value()) }
    });
    while cell.stats().waits < 1 {
        tokio::task::yield_now().await;
    }
    drop(driver);
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(waiter.await.unwrap(), Ok(1));
}

#[test]
fn fetch_that_wakes_itself_while_it_is_polled_is_polled_again() {
    let clock = clock();
    let (cell, fetched) = (cell(&clock), unexpired(&clock, 1, 900));
    let mut is_first = true;
    let eager = poll_fn(move |cx| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    let wakes = Arc::new(Wakes::default());
    let mut waiter = Box::pin(cell.get(move || async {
        eager.await;
        Ok(fetched)
    }));
    assert!(wakes.poll(&mut waiter).is_pending());
    assert_eq!(wakes.count(), 1);
    assert_eq!(*finish(waiter).unwrap().0.value(), 1);
}

#[test]
fn waiter_that_goes_wakes_another() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let wakes = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    let mut first = Box::pin(cell.get(source.fetch()));
    let mut second = Box::pin(cell.get(source.fetch()));
    assert!(wakes[0].poll(&mut first).is_pending() && wakes[1].poll(&mut second).is_pending());
    source.succeed(0, unexpired(&clock, 1, 900));
    let before = wakes[1].count();
    drop(first);
    assert_eq!(wakes[1].count(), before + 1, "the one that was woken too goes before it polls");
    assert_eq!(*finish(second).unwrap().0.value(), 1);
}

#[test]
fn fetch_times_out_with_its_own_error() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut waiter = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(Duration::from_millis(9_999));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(Duration::from_millis(1));
    assert!(matches!(finish(waiter), Err(FetchError::TimedOut(limit)) if limit == secs(10)));
    source.succeed(1, unexpired(&clock, 1, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 1);
}

#[tokio::test]
async fn timeout_wakes_the_waiter() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let waiter = tokio::spawn({
        let (cell, source) = (cell.clone(), source.clone());
        async move { cell.get(source.fetch()).await.map(|_| ()) }
    });
    while source.asked() < 1 {
        tokio::task::yield_now().await;
    }
    clock.advance(secs(10));
    assert_eq!(waiter.await.unwrap(), Err(FetchError::TimedOut(secs(10))));
}

#[test]
fn fetch_from_a_clock_far_ahead_is_replaced() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut first = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    clock.set(clock.now() - secs(3600));
    source.succeed(1, unexpired(&clock, 2, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 2);
}

#[test]
fn panic_reaches_every_waiter_and_leaves_the_slot_usable() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut first = Box::pin(cell.get(source.fetch()));
    let mut second = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    source.answer(0, Answer::Panic);
    assert!(matches!(finish(second), Err(FetchError::Panicked)));
    assert!(matches!(finish(first), Err(FetchError::Panicked)));
    source.succeed(1, unexpired(&clock, 1, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 1);
}

#[test]
fn panic_before_the_future_exists_is_an_error_too() {
    let clock = clock();
    let cell = cell(&clock);
    let fetch = || -> std::future::Ready<Result<_, Failure>> { std::panic::resume_unwind(Box::new("early")) };
    assert!(matches!(finish(cell.get(fetch)), Err(FetchError::Panicked)));
}

#[test]
fn value_that_has_expired_is_an_error() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    source.succeed(0, unexpired(&clock, 1, 900));
    clock.advance(secs(903));
    let error = finish(cell.get(source.fetch())).unwrap_err();
    assert_eq!(error, FetchError::Expired(secs(3)));
    assert!(held(&cell).is_none());
}

#[test]
fn value_that_expires_at_this_very_moment_has_expired() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    source.succeed(0, unexpired(&clock, 1, 0));
    assert_eq!(finish(cell.get(source.fetch())).unwrap_err(), FetchError::Expired(secs(0)));
}

#[test]
fn abandoned_fetch_is_replaced_at_its_time_limit() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut first = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    drop(first);
    clock.advance(secs(10));
    source.succeed(1, unexpired(&clock, 2, 900));
    // At once, and with no error of the one before.
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 2);
    assert_eq!((source.asked(), cell.stats().fetches_failed), (2, 0));
}

#[test]
fn abandoned_fetch_that_reaches_its_time_limit_under_another_is_replaced_by_it() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    assert!(poll_once(&mut Box::pin(cell.get(source.fetch()))).is_pending());
    clock.advance(Duration::from_millis(9_900));
    let mut waiter = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(Duration::from_millis(100));
    source.succeed(1, unexpired(&clock, 2, 900));
    assert_eq!(*finish(waiter).unwrap().0.value(), 2);
}

#[test]
fn replaced_fetch_serves_only_its_own_waiter() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut first = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut first).is_pending());
    clock.advance(secs(10));
    let mut second = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut second).is_pending());
    assert_eq!(source.asked(), 2);
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(first).unwrap().0.value(), 1);
    assert!(held(&cell).is_none());
    source.succeed(1, unexpired(&clock, 2, 900));
    assert_eq!(*finish(second).unwrap().0.value(), 2);
    assert_eq!(*held(&cell).unwrap().value(), 2);
}

type Heir<'a> = Pin<Box<dyn Future<Output = Fetched> + 'a>>;

/// Callers that joined a fetch whose starter is gone.
fn heirs<'a>(cell: &'a TestCell, source: &'a Source) -> Vec<Heir<'a>> {
    let mut starter = Box::pin(cell.get(source.fetch()));
    let mut heirs: Vec<Heir<'_>> = (0..8).map(|_| Box::pin(cell.get(source.fetch())) as Heir<'_>).collect();
    assert!(poll_once(&mut starter).is_pending());
    assert!(heirs.iter_mut().all(|heir| poll_once(heir).is_pending()));
    heirs
}

#[test]
fn abandoned_fetch_that_panics_is_replaced_once_by_the_waiter_that_took_over() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let heirs = heirs(&cell, &source);
    source.answer(0, Answer::Panic);
    source.succeed(1, unexpired(&clock, 1, 900));
    assert!(heirs.into_iter().all(|heir| *finish(heir).unwrap().0.value() == 1));
    assert_eq!(source.asked(), 2);
}

#[test]
fn source_that_panics_again_is_not_asked_a_third_time_by_the_waiter_that_took_over() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut heirs = heirs(&cell, &source);
    source.answer(0, Answer::Panic);
    assert!(heirs.iter_mut().all(|heir| poll_once(heir).is_pending()));
    // The caller that started the second one goes as well.
    drop(heirs.remove(0));
    source.answer(1, Answer::Panic);
    assert!(heirs.into_iter().all(|heir| finish(heir).unwrap_err() == FetchError::Panicked));
    assert_eq!(source.asked(), 2);
}

#[test]
fn error_of_an_abandoned_fetch_is_the_answer_to_all_who_wait() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let heirs = heirs(&cell, &source);
    let down: Failure = "down".into();
    source.answer(0, Answer::Fail(Arc::clone(&down)));
    for heir in heirs {
        let error = finish(heir).unwrap_err();
        assert!(matches!(error, FetchError::Failed(error) if Arc::ptr_eq(&error, &down)));
    }
    assert_eq!((source.asked(), cell.stats().fetches_failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_of_a_failing_source_get_the_error_of_one_fetch() {
    let clock = clock();
    let cell = cell(&clock);
    let ask = async |cell: TestCell| loop {
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err("down".into())
        };
        if let Ok(got) = tokio::time::timeout(Duration::from_millis(20), cell.get(slow)).await {
            return got.map(|_| ());
        }
    };
    let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(ask(cell.clone()))).collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Err(FetchError::Failed(_))));
    }
    assert_eq!(cell.stats().fetches, 1);
}

#[test]
fn clock_that_cannot_wait_is_an_error_of_its_own() {
    #[derive(Debug)]
    struct Timerless(token_cache::ManualClock);
    impl token_cache::Clock for Timerless {
        fn now(&self) -> std::time::SystemTime {
            self.0.now()
        }
        fn sleep_until(&self, _: std::time::SystemTime) -> token_cache::BoxFuture<'static, ()> {
            std::panic::resume_unwind(Box::new("no runtime"))
        }
    }
    let (clock, source) = (clock(), Source::default());
    let cell = TestCell::new(Arc::new(Timerless(clock.clone())), secs(10));
    assert_eq!(finish(cell.get(source.fetch())).unwrap_err(), FetchError::NoTimer);
    // A source that answers at once needs no timer, and the fetch is where it was.
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(cell.get(source.fetch())).unwrap().0.value(), 1);
}

#[test]
fn longest_time_limit_does_not_overflow() {
    let (clock, source) = (clock(), Source::default());
    let cell = TestCell::new(Arc::new(clock.clone()), Duration::MAX);
    let mut waiter = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    clock.advance(secs(1 << 40));
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(waiter).unwrap().0.value(), 1);
}
