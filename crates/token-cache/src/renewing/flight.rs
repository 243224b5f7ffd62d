//! One fetch, and waiting for it.

use std::{
    future::{pending, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use super::{Inner, waiters::Waiters};
use crate::{
    clock::{BoxFuture, distance},
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Generation,
    sync::{AtomicBool, Mutex, lock},
};

pub(super) type Outcome<V, E> = Result<Arc<Generation<V>>, FetchError<E>>;

/// The user's future, which may panic wherever it is polled or dropped without harm to whichever
/// caller happens to do that.
pub(super) struct Fetch<V, E>(Option<BoxFuture<'static, Result<Expiring<V>, E>>>);

impl<V, E> Fetch<V, E> {
    pub(super) fn new(fetch: impl Future<Output = Result<Expiring<V>, E>> + Send + 'static) -> Self {
        Self(Some(Box::pin(fetch)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Expiring<V>, FetchError<E>>> {
        let Some(fetch) = &mut self.0 else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))) {
            Ok(polled) => polled.map_err(FetchError::Failed),
            Err(panic) => {
                drop_quietly(panic);
                Poll::Ready(Err(FetchError::Panicked))
            }
        }
    }
}

impl<V, E> Drop for Fetch<V, E> {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}

/// Drops what is the user's, and ends a panic of its `Drop` here: the caller that drops it for all
/// has other waiters to serve.
pub(super) fn drop_quietly<T>(value: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
    // A panic's own value may panic as well when it is dropped, for which there is no end.
    let _ = dropped.map_err(mem::forget);
}

/// One fetch that all callers share.
///
/// Any waiter polls it; otherwise a caller that gives up would cancel it for everyone.
pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    started_at: SystemTime,
    /// Someone has a `Renewal` that drives it.
    pub(super) is_claimed: AtomicBool,
    /// The caller that started it was dropped, perhaps with the runtime of its sockets and timers.
    pub(super) is_orphan: AtomicBool,
    /// Its value is stored even if it expires no later than the one held by then: a caller was
    /// refused with that one, or found none.
    pub(super) replaces: AtomicBool,
    pub(super) waiters: Arc<Waiters>,
    pub(super) course: Mutex<Course<V, E>>,
}

/// Lock order: a cell's state may be locked while a course is locked, never the other way round.
pub(super) struct Course<V, E> {
    /// `None` while it is being polled.
    pub(super) fetch: Option<Fetch<V, E>>,
    pub(super) end: Option<Arc<Ended<V, E>>>,
}

/// How a flight ended.
pub(super) struct Ended<V, E> {
    pub(super) outcome: Outcome<V, E>,
    pub(super) was_orphan: bool,
}

impl<V, E> Flight<V, E> {
    pub(super) fn new(id: u64, started_at: SystemTime, fetch: Option<Fetch<V, E>>) -> Self {
        let [is_claimed, is_orphan, replaces] = [false; 3].map(AtomicBool::new);
        let course = Mutex::new(Course { fetch, end: None });
        Self { id, started_at, is_claimed, is_orphan, replaces, waiters: Arc::default(), course }
    }

    /// Returns whether it has reached its time limit, after which the next caller starts another.
    pub(super) fn is_overdue(&self, now: SystemTime, limit: Duration) -> bool {
        // After the clock was set back by more than the limit, its age is unknown.
        distance(self.started_at, now) >= limit
    }

    fn end(&self) -> Option<Arc<Ended<V, E>>> {
        lock(&self.course).end.clone()
    }

    /// Polls the fetch unless another waiter is polling it.
    fn poll(&self) -> Poll<Result<Expiring<V>, FetchError<E>>> {
        if !self.waiters.begin_poll() {
            // The waiter that polls wakes all others when there is progress.
            return Poll::Pending;
        }
        // Taken out, because the lock must not be held while the user's future runs. A dropped
        // poller cannot leave it out: nothing awaits before it is put back.
        let fetch = lock(&self.course).fetch.take();
        let mut polled = Poll::Pending;
        if let Some(mut fetch) = fetch {
            let waker = Waker::from(Arc::clone(&self.waiters));
            // A panic ends the flight for all; passed on, it would hit whichever caller happened to
            // poll.
            polled = fetch.poll(&mut Context::from_waker(&waker));
            let mut course = lock(&self.course);
            if polled.is_pending() && course.end.is_none() {
                course.fetch = Some(fetch);
            }
            // A fetch that has ended or was replaced meanwhile is dropped here, outside the lock.
        }
        self.waiters.end_poll();
        polled
    }
}

/// Drives a flight to its end, within its time limit.
pub(super) struct Wait<V, E> {
    pub(super) cell: Arc<Inner<V, E>>,
    pub(super) flight: Arc<Flight<V, E>>,
    pub(super) is_starter: bool,
    /// It waits on behalf of a renewal.
    pub(super) is_claim: bool,
    /// An unexpired value exists to fall back to.
    pub(super) has_unexpired: bool,
    pub(super) place: Option<u64>,
}

impl<V, E> Wait<V, E> {
    /// Returns the end of the flight.
    ///
    /// Every waiter has its own timer in its own runtime: the runtime that started the flight may
    /// be idle or gone.
    pub(super) async fn end(mut self) -> Arc<Ended<V, E>> {
        let mut timer = None;
        poll_fn(|cx| {
            // Registered before the first check, so that the end of the flight cannot be missed.
            self.flight.waiters.join(&mut self.place, cx.waker());
            if let Poll::Ready(fetched) = self.flight.poll() {
                self.cell.end(&self.flight, fetched);
            }
            if self.flight.end().is_none() {
                match self.poll_timer(&mut timer, cx) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(())) => {
                        let limit = self.cell.fetch_timeout;
                        self.cell.end(&self.flight, Err(FetchError::TimedOut(limit)));
                    }
                    // Fails this caller only: others may run where a timer works.
                    Err(error) => {
                        let (outcome, was_orphan) = (Err(error), false);
                        return Poll::Ready(Arc::new(Ended { outcome, was_orphan }));
                    }
                }
            }
            self.flight.end().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Polls the timer, which is set when it is first needed: a fetch that answers at once needs
    /// none.
    fn poll_timer(
        &self,
        timer: &mut Option<BoxFuture<'static, ()>>,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, FetchError<E>> {
        let set = || match self.flight.started_at.checked_add(self.cell.fetch_timeout) {
            Some(deadline) => self.cell.clock.sleep_until(deadline),
            None => Box::pin(pending()),
        };
        // A timer may panic, as that of tokio does outside of its runtime.
        let poll = || timer.get_or_insert_with(set).as_mut().poll(cx);
        catch_unwind(AssertUnwindSafe(poll)).map_err(|panic| {
            drop_quietly(panic);
            FetchError::NoTimer
        })
    }
}

impl<V, E> Drop for Wait<V, E> {
    fn drop(&mut self) {
        if self.is_starter {
            self.flight.is_orphan.store(true, SeqCst);
        }
        if self.is_claim {
            self.flight.is_claimed.store(false, SeqCst);
        }
        let is_finished = self.flight.end().is_some();
        self.place.into_iter().for_each(|place| self.flight.waiters.leave(place, is_finished));
    }
}
