//! One fetch, and waiting for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use super::{Inner, waiters::Waiters};
use crate::{
    clock::BoxFuture,
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Generation,
    sync::{Mutex, lock},
    time::distance,
};

pub(super) type Outcome<V, E> = Result<Arc<Generation<V>>, FetchError<E>>;
pub(super) type Fetch<V, E> = BoxFuture<'static, Result<Expiring<V>, E>>;

/// One fetch that all callers share.
///
/// Any waiter polls it; otherwise a caller that gives up would cancel it for everyone.
pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    started_at: SystemTime,
    /// Upgrades while the caller that started it still waits.
    starter: Weak<()>,
    waiters: Arc<Waiters>,
    course: Mutex<Course<V, E>>,
}

struct Course<V, E> {
    /// In its place unless it is being polled.
    fetch: Option<Fetch<V, E>>,
    /// A waiter has the outcome and is publishing it.
    is_ending: bool,
    end: Option<Arc<Ended<V, E>>>,
}

/// How a flight ended.
pub(super) struct Ended<V, E> {
    pub(super) outcome: Outcome<V, E>,
    /// Its starter was gone by then, perhaps along with the runtime of its sockets and timers.
    pub(super) was_orphan: bool,
}

impl<V, E> Flight<V, E> {
    pub(super) fn new(id: u64, started_at: SystemTime, starter: &Arc<()>, fetch: Fetch<V, E>) -> Self {
        Self {
            id,
            started_at,
            starter: Arc::downgrade(starter),
            waiters: Arc::default(),
            course: Mutex::new(Course { fetch: Some(fetch), is_ending: false, end: None }),
        }
    }

    /// Returns whether it has reached its time limit, so that the next caller starts another.
    pub(super) fn is_overdue(&self, now: SystemTime, limit: Duration) -> bool {
        // Once the clock has been set back by more than the limit, nothing tells how old it is.
        distance(self.started_at, now) >= limit
    }

    fn end(&self) -> Option<Arc<Ended<V, E>>> {
        lock(&self.course).end.clone()
    }

    /// Polls the fetch if nobody else does.
    fn poll(&self) -> Poll<Result<Expiring<V>, FetchError<E>>> {
        if !self.waiters.begin_poll() {
            // The waiter that polls wakes all others when there is progress.
            return Poll::Pending;
        }
        let mut polled = Poll::Pending;
        let fetch = lock(&self.course).fetch.take();
        if let Some(mut fetch) = fetch {
            let waker = Waker::from(Arc::clone(&self.waiters));
            let poll = AssertUnwindSafe(|| fetch.as_mut().poll(&mut Context::from_waker(&waker)));
            polled = match catch_unwind(poll) {
                Ok(polled) => polled.map_err(FetchError::Failed),
                Err(_) => Poll::Ready(Err(FetchError::Panicked)),
            };
            if polled.is_pending() {
                let mut course = lock(&self.course);
                if !course.is_ending {
                    course.fetch = Some(fetch);
                }
                // A fetch that was given up meanwhile is dropped here, after the lock.
            }
        }
        self.waiters.end_poll();
        polled
    }
}

impl<V, E> Inner<V, E> {
    /// Ends a flight, unless another waiter is doing so: tells the cell first, then those who wait.
    fn end(&self, flight: &Flight<V, E>, fetched: Result<Expiring<V>, FetchError<E>>) {
        let mut course = lock(&flight.course);
        if course.is_ending {
            return;
        }
        course.is_ending = true;
        let fetch = course.fetch.take();
        drop(course);
        let was_orphan = flight.starter.strong_count() == 0;
        let outcome = self.complete(flight.id, fetched);
        lock(&flight.course).end = Some(Arc::new(Ended { outcome, was_orphan }));
        flight.waiters.wake_all();
        drop(fetch);
    }
}

/// Waits for the end of a flight, drives it, and brings its time limit.
///
/// Every waiter has a timer of its own, in its own runtime: the one that started the flight may
/// sleep or be gone.
pub(super) struct Wait<V, E> {
    cell: Arc<Inner<V, E>>,
    flight: Arc<Flight<V, E>>,
    /// Says that the starter is still there, if it is this one.
    starter: Option<Arc<()>>,
    place: Option<u64>,
    timer: Option<BoxFuture<'static, ()>>,
    is_finished: bool,
}

impl<V, E> Wait<V, E> {
    pub(super) fn new(cell: Arc<Inner<V, E>>, flight: Arc<Flight<V, E>>, starter: Option<Arc<()>>) -> Self {
        Self { cell, flight, starter, place: None, timer: None, is_finished: false }
    }

    /// Waits for the end; `None` if this caller, which started nothing, is to start another flight
    /// in place of it.
    ///
    /// What an abandoned flight ran in may be gone, which shows as a panic or as silence.
    pub(super) async fn outcome(self, may_replace: &mut bool) -> Option<Outcome<V, E>>
    where
        E: Clone,
    {
        let is_heir = self.starter.is_none();
        match self.await {
            (Err(FetchError::Panicked | FetchError::TimedOut(_)), true)
                if is_heir && std::mem::take(may_replace) =>
            {
                None
            }
            (outcome, _) => Some(outcome),
        }
    }

    /// Polls the timer, which is set when it is first needed: a fetch that answers at once needs
    /// none.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, FetchError<E>> {
        let Self { cell, flight, timer, .. } = self;
        let limit = cell.fetch_timeout;
        let deadline = flight.started_at.checked_add(limit);
        let poll = || match (timer, deadline) {
            (Some(timer), _) => timer.as_mut().poll(cx),
            (none, Some(deadline)) => none.insert(cell.clock.sleep_until(deadline)).as_mut().poll(cx),
            (_, None) => Poll::Pending,
        };
        catch_unwind(AssertUnwindSafe(poll)).map_err(|_| FetchError::NoTimer)
    }
}

impl<V, E: Clone> Future for Wait<V, E> {
    type Output = (Outcome<V, E>, bool);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Registered before the first check, so that the end of the flight cannot be missed.
        this.flight.waiters.join(&mut this.place, cx.waker());
        let mut end = this.flight.end();
        if end.is_none() {
            if let Poll::Ready(fetched) = this.flight.poll() {
                this.cell.end(&this.flight, fetched);
            }
            end = this.flight.end();
        }
        if end.is_none() {
            match this.poll_timer(cx) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(())) => {
                    let limit = this.cell.fetch_timeout;
                    this.cell.end(&this.flight, Err(FetchError::TimedOut(limit)));
                    end = this.flight.end();
                    // A timer that is done may not be polled again, should another waiter still be
                    // ending the flight.
                    this.timer = Some(Box::pin(std::future::pending()));
                }
                // Of this caller only: others may wait where a timer works.
                Err(error) => return Poll::Ready((Err(error), false)),
            }
        }
        let Some(end) = end else { return Poll::Pending };
        this.is_finished = true;
        Poll::Ready((end.outcome.clone(), end.was_orphan))
    }
}

impl<V, E> Drop for Wait<V, E> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.flight.waiters.leave(place, self.is_finished);
        }
    }
}

// Nothing in it is pinned in place.
impl<V, E> Unpin for Wait<V, E> {}
