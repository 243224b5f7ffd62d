//! Nothing of the user's is dropped under a lock.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::SystemTime,
};

use token_cache::{BoxFuture, Clock, Expiring, Renewing};

use crate::support::*;

/// What looks into the cell when it is dropped.
struct Nosy(TestCell);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.stats();
    }
}

/// Runs `test` on a thread of its own: one that waits for its own lock never ends.
fn without_deadlock(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let test = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(secs(20));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "the cell waits for itself");
    test.join().unwrap();
}

#[test]
fn fetches_that_are_not_needed_may_use_the_cell_while_they_are_dropped() {
    without_deadlock(|| {
        let (clock, source) = (clock(), Source::default());
        let cell = cell(&clock);
        let fetch = || {
            let (nosy, fetch) = (Nosy(cell.clone()), source.fetch());
            move || {
                let _nosy = nosy;
                fetch()
            }
        };
        let mut one = Box::pin(cell.get(fetch()));
        let mut other = Box::pin(cell.get(fetch()));
        assert!(poll_once(&mut one).is_pending() && poll_once(&mut other).is_pending());
        source.succeed(0, unexpired(&clock, 1, 1000));
        let (lease, _) = finish(one).unwrap();
        finish(other).unwrap();

        let mut one = Box::pin(cell.refetch(&lease, fetch()));
        let mut other = Box::pin(cell.refetch(&lease, fetch()));
        assert!(poll_once(&mut one).is_pending() && poll_once(&mut other).is_pending());
        source.succeed(1, unexpired(&clock, 2, 1000));
        finish(one).unwrap();
        finish(other).unwrap();

        clock.advance(secs(900));
        let renewal = finish(cell.get(fetch())).unwrap().1;
        drop(renewal.expect("a renewal is due"));
        assert!(finish(cell.get(fetch())).unwrap().1.is_some());
    });
}

#[test]
fn fetches_that_are_put_aside_may_use_the_cell_while_they_are_dropped() {
    without_deadlock(|| {
        let clock = clock();
        let cell = cell(&clock);
        let fetch = || {
            let nosy = Nosy(cell.clone());
            move || async move {
                let _nosy = nosy;
                std::future::pending().await
            }
        };
        // Overdue, cleared, timed out.
        let abandoned = |seconds| {
            assert!(poll_once(&mut Box::pin(cell.get(fetch()))).is_pending());
            clock.advance(secs(seconds));
        };
        abandoned(10);
        abandoned(1);
        cell.clear();
        abandoned(1);
        let mut waiter = Box::pin(cell.get(fetch()));
        assert!(poll_once(&mut waiter).is_pending());
        // It goes on to a fetch of its own.
        clock.advance(secs(9));
        assert!(poll_once(&mut waiter).is_pending());
        clock.advance(secs(10));
        assert!(finish(waiter).is_err());
    });
}

#[test]
fn values_may_use_the_cell_while_they_are_dropped() {
    struct Value(Renewing<Value, Failure>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.stats();
            self.0.clear();
        }
    }
    without_deadlock(|| {
        let clock = clock();
        let cell: Renewing<Value, Failure> = Renewing::without_jitter(Arc::new(clock.clone()), secs(10));
        let fetch = |life| {
            let made = Expiring::new(Value(cell.clone()), clock.now(), clock.now() + secs(life));
            move || async move { Ok(made) }
        };
        // Replaced after its end, by a refetch, not stored, cleared.
        drop(finish(cell.get(fetch(100))).unwrap());
        clock.advance(secs(100));
        let (lease, _) = finish(cell.get(fetch(1000))).unwrap();
        drop(finish(cell.refetch(&lease, fetch(1000))).unwrap());
        drop(lease);
        clock.advance(secs(850));
        let (lease, renewal) = finish(cell.get(fetch(10))).unwrap();
        drop((lease, renewal.map(|renewal| finish(renewal.run()))));
        cell.clear();
    });
}

#[test]
fn wakers_may_use_the_cell_while_they_are_woken_and_dropped() {
    struct Task(TestCell);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.stats();
        }
    }
    impl Drop for Task {
        fn drop(&mut self) {
            self.0.stats();
        }
    }
    without_deadlock(|| {
        let (clock, source) = (clock(), Source::default());
        let cell = cell(&clock);
        type Waiter<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;
        let poll = |waiter: &mut Waiter<'_>| {
            let waker = Waker::from(Arc::new(Task(cell.clone())));
            waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        };
        let wait = |_| -> Waiter<'_> { Box::pin(async { cell.get(source.fetch()).await.is_ok() }) };
        let mut waiters: Vec<_> = (0..3).map(wait).collect();
        assert!(waiters.iter_mut().all(&poll) && waiters.iter_mut().all(&poll));
        waiters.pop();
        source.succeed(0, unexpired(&clock, 1, 1000));
        assert!(!waiters.iter_mut().any(poll));
    });
}

type Waiter = Pin<Box<dyn Future<Output = bool> + Send>>;

fn waiter(cell: &TestCell, source: &Source) -> Waiter {
    let (cell, fetch) = (cell.clone(), source.fetch());
    Box::pin(async move { cell.get(fetch).await.is_ok() })
}

#[test]
fn wakers_may_own_other_waiters_that_are_dropped_with_them() {
    /// As an executor's task, which its last waker drops.
    struct Task(#[expect(dead_code, reason = "held, not read")] Mutex<Waiter>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    /// Keeps no waker, so that the cell has the last one.
    #[derive(Debug)]
    struct Timeless;
    impl Clock for Timeless {
        fn now(&self) -> SystemTime {
            clock().now()
        }
        fn sleep_until(&self, _: SystemTime) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }
    let check = |cell: TestCell| {
        let source = Source::default();
        let owner = || {
            let mut owned = waiter(&cell, &source);
            assert!(poll_once(&mut owned).is_pending());
            Waker::from(Arc::new(Task(Mutex::new(owned))))
        };
        let mut waiter = waiter(&cell, &source);
        // The second waker replaces the first, and goes with the waiter.
        for _ in 0..2 {
            assert!(waiter.as_mut().poll(&mut Context::from_waker(&owner())).is_pending());
        }
        drop(waiter);
    };
    without_deadlock(move || {
        check(cell(&clock()));
        check(Renewing::new(Arc::new(Timeless), secs(10)));
    });
}

#[test]
fn fetch_that_timed_out_may_poll_another_waiter_while_it_is_dropped() {
    struct Poller(Arc<Mutex<Option<Waiter>>>);
    impl Drop for Poller {
        fn drop(&mut self) {
            let waiter = self.0.lock().unwrap().take();
            let _ = waiter.map(|mut waiter| poll_once(&mut waiter));
        }
    }
    without_deadlock(|| {
        let (clock, source) = (clock(), Source::default());
        let cell = cell(&clock);
        let other = Arc::new(Mutex::new(None));
        let poller = Poller(Arc::clone(&other));
        let mut first = Box::pin(cell.get(move || async move {
            let _poller = poller;
            std::future::pending().await
        }));
        assert!(poll_once(&mut first).is_pending());
        let mut second = waiter(&cell, &source);
        assert!(poll_once(&mut second).is_pending());
        *other.lock().unwrap() = Some(second);
        clock.advance(secs(10));
        assert!(finish(first).is_err());
        assert!(other.lock().unwrap().is_none(), "the fetch was dropped");
    });
}
