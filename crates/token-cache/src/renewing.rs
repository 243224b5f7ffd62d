//! A cell for one value that is fetched.

mod flight;
mod renewal;
mod state;
mod waiters;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    mem,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

pub use self::renewal::Renewal;
use self::{
    flight::{Ended, Fetch, Flight, Wait, drop_quietly},
    state::State,
};
use crate::{
    clock::{Clock, distance},
    expiring::Expiring,
    fetch_error::FetchError,
    lease::{Generation, Lease},
    stats::RenewingStats,
    sync::{Mutex, lock},
};

/// One value that is expensive to get, such as credentials: fetched once for all waiting callers,
/// renewed ahead of its expiry, and served while its source is down.
///
/// The age of the value decides what a caller gets:
///
/// - Until its refresh window, which begins 15–25 % of its life before its end, and 15 minutes
///   before at most: the value, at once.
/// - Within the refresh window: the value, at once. One caller also gets a [`Renewal`] to run
///   beside its own work.
/// - Within the last 60 s (a quarter of the life of a value that lives shorter than four minutes):
///   the outcome of one reload that callers wait for, and the value if that fails. One reload in 5
///   s at most.
/// - Without a value, or with an expired one: the outcome of one fetch that callers wait for.
///
/// A value [without an expiry](Expiring::without_end) is renewed in the same way, and served until
/// a renewal succeeds.
///
/// While a value is unexpired, a fetch that fails or returns nothing better starts a back-off of
/// 1 s, doubled by each further one up to 30 s. Until it ends the value is served at once and
/// nothing is fetched.
///
/// The fetch belongs to the cell and is polled by whichever of its waiters is scheduled, so it is
/// neither cancelled nor restarted by a caller that gives up. It ends at its time limit, which
/// every waiter brings with a timer of its own; past it, the next caller starts another. If its
/// starter is gone, perhaps with the runtime that owned its sockets, and the fetch panics or times
/// out, a caller that joined it starts another one, once. An error of the source is an answer:
/// every waiting caller gets it.
///
/// A fetch must not own its cell, or what owns the cell: once nobody waits, the two would keep each
/// other alive. It holds a [`Weak`](std::sync::Weak) instead.
///
/// Clones are cheap and share everything. No lock is held while code of the user runs or a value of
/// the user is dropped.
pub struct Renewing<V, E> {
    inner: Arc<Inner<V, E>>,
}

struct Inner<V, E> {
    clock: Arc<dyn Clock>,
    fetch_timeout: Duration,
    /// `None` in tests that rely on the middle of the range.
    jitter: Option<RandomState>,
    state: Mutex<State<V, E>>,
}

/// The unexpired value, and its renewal if it is due and this is the caller to run it.
pub type Served<V, E> = (Lease<V>, Option<Renewal<V, E>>);

impl<V, E> Renewing<V, E> {
    /// Creates an empty cell with a time limit for its fetches.
    pub fn new(clock: Arc<dyn Clock>, fetch_timeout: Duration) -> Self {
        Self::with_jitter(clock, fetch_timeout, Some(RandomState::new()))
    }

    /// Creates an empty cell with refresh windows of exactly 20 %, not drawn at random.
    #[cfg(feature = "test-util")]
    pub fn without_jitter(clock: Arc<dyn Clock>, fetch_timeout: Duration) -> Self {
        Self::with_jitter(clock, fetch_timeout, None)
    }

    fn with_jitter(clock: Arc<dyn Clock>, fetch_timeout: Duration, jitter: Option<RandomState>) -> Self {
        Self { inner: Arc::new(Inner { clock, fetch_timeout, jitter, state: Mutex::new(State::new()) }) }
    }

    /// Begins a new epoch: drops the value. The result of a running fetch will not be stored.
    ///
    /// Callers that already wait for that fetch still get its outcome; a later call starts another.
    pub fn clear(&self) {
        let mut state = lock(&self.inner.state);
        let retired = (state.held.take(), state.flight.take());
        drop(state);
        // Only here, because a value's `Drop` may look into the cell.
        drop(retired);
    }

    /// Returns the counters.
    pub fn stats(&self) -> RenewingStats {
        lock(&self.inner.state).stats
    }
}

impl<V, E> Renewing<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Returns the unexpired value, or waits for the one fetch that all callers share.
    ///
    /// # Errors
    ///
    /// Returns the error of the fetch, the same to all waiting callers, if there is no unexpired
    /// value. The next call starts a new fetch.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in the cell and another caller continues
    /// it.
    pub async fn get<F, Fut>(&self, fetch: F) -> Result<Served<V, E>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        self.ask(None, &mut once(fetch)).await
    }

    /// Returns the unexpired value, with the renewal that is due, if no wait is needed.
    ///
    /// `None` where [`get`](Self::get) would wait. Starts a fetch only as a part of a renewal.
    pub fn try_get<F, Fut>(&self, fetch: F) -> Option<Served<V, E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        self.inner.look(None, false, &mut once(fetch)).ok()
    }

    /// Returns a value of another generation than `than`, for callers whose server refused that
    /// one.
    ///
    /// An unexpired value of another generation is returned at once, so that any number of refused
    /// callers cost one fetch. Otherwise all wait for one fetch, despite the back-off, and its
    /// value is stored even if it expires no later.
    ///
    /// # Errors
    ///
    /// Returns the error of the fetch. The unexpired value, if any, is kept.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in the cell and another caller continues
    /// it.
    pub async fn refetch<F, Fut>(&self, than: &Lease<V>, fetch: F) -> Result<Lease<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        Ok(self.ask(Some(than.generation()), &mut once(fetch)).await?.0)
    }

    async fn ask(
        &self,
        refused: Option<u64>,
        start: &mut (dyn FnMut() -> Option<Fetch<V, E>> + Send),
    ) -> Result<Served<V, E>, FetchError<E>> {
        let mut may_replace = true;
        loop {
            let wait = match self.inner.look(refused, true, start) {
                Ok(served) => return Ok(served),
                Err(Some(wait)) => wait,
                // Only for `try_get`: a caller that may wait is always served or given a wait.
                Err(None) => continue,
            };
            let had_unexpired = wait.has_unexpired;
            let end = wait.end().await;
            let error = match end.outcome.clone() {
                Ok(fetched) => return Ok((Lease::fresh(fetched), None)),
                Err(error) => error,
            };
            // The runtime of an abandoned flight may be gone, which shows as a panic or as silence.
            let is_driver_lost = matches!(error, FetchError::Panicked | FetchError::TimedOut(_));
            if end.was_orphan && is_driver_lost && mem::take(&mut may_replace) {
                continue;
            }
            let now = self.inner.clock.now();
            let mut state = lock(&self.inner.state);
            let held = state.unexpired(now).filter(|_| had_unexpired).cloned();
            state.stats.stale_served += u64::from(held.is_some());
            drop(state);
            return held.map(|held| (Lease::cached(held), None)).ok_or(error);
        }
    }
}

/// Starts a fetch, once: its closure runs at the first poll, outside the lock.
fn once<V, E, F, Fut>(fetch: F) -> impl FnMut() -> Option<Fetch<V, E>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
{
    let mut fetch = Some(fetch);
    // A caller starts one flight at most.
    move || fetch.take().map(|fetch| Fetch::new(async move { fetch().await }))
}

impl<V, E> Inner<V, E> {
    /// Serves the unexpired value unless it is the refused generation, or joins the flight under
    /// way, or starts one; `Err(None)` where it would wait and may not.
    fn look(
        self: &Arc<Self>,
        refused: Option<u64>,
        may_wait: bool,
        start: &mut dyn FnMut() -> Option<Fetch<V, E>>,
    ) -> Result<Served<V, E>, Option<Wait<V, E>>> {
        let now = self.clock.now();
        // Declared before the lock is taken, so that the user's future is dropped after its
        // release.
        let mut _overdue = None;
        let mut state = lock(&self.state);
        let state = &mut *state;
        let under_way = state.flight.as_ref().filter(|flight| !flight.is_overdue(now, self.fetch_timeout));
        let under_way = under_way.cloned();
        let held = state.held.as_ref().filter(|held| !held.generation.is_expired(now));
        let held = held.filter(|held| refused != Some(held.generation.id));
        let must_wait = held.is_none_or(|held| held.is_near_end(now));
        if let Some(held) = held {
            let serves = match &under_way {
                // A refused caller takes any other generation.
                _ if refused.is_some() || !must_wait && !held.is_due(now) => true,
                None => state.is_resting(now, &held.generation),
                // Another caller renews it. Near the expiry no claim counts, because its owner may
                // have stopped polling.
                Some(flight) => !must_wait && flight.is_claimed.load(SeqCst),
            };
            if serves {
                state.stats.hits += 1;
                return Ok((Lease::cached(Arc::clone(&held.generation)), None));
            }
        }
        if must_wait && !may_wait {
            return Err(None);
        }
        let held = held.map(|held| Arc::clone(&held.generation));
        let is_starter = under_way.is_none();
        let flight = under_way.unwrap_or_else(|| {
            state.stats.fetches += 1;
            let flight = Arc::new(Flight::new(state.stats.fetches, now, start()));
            // The waiters of an overdue flight still get its outcome, but it is not stored any
            // more.
            _overdue = state.flight.replace(Arc::clone(&flight));
            flight
        });
        let (cell, has_unexpired) = (Arc::clone(self), held.is_some());
        let wait = Wait { cell, flight, is_starter, is_claim: false, has_unexpired, place: None };
        match held.filter(|_| !must_wait) {
            Some(held) => {
                state.stats.hits += 1;
                Ok((Lease::cached(held), Some(Renewal::claim(wait))))
            }
            None => {
                // Set and read under the lock of the state: a flight that can be joined has not
                // been judged yet.
                wait.flight.replaces.fetch_or(!wait.has_unexpired, SeqCst);
                state.stats.misses += 1;
                state.stats.waits += u64::from(!is_starter);
                Err(Some(wait))
            }
        }
    }

    /// Completes a running flight: stores its value, unless the cell was cleared or the flight
    /// replaced meanwhile, and then wakes the waiters.
    fn end(&self, flight: &Flight<V, E>, fetched: Result<Expiring<V>, FetchError<E>>) {
        let now = self.clock.now();
        let fetched = fetched.and_then(|made| match made.expires_at {
            Some(end) if end <= now => {
                // A panic here would leave the flight without an end, and its waiters with it.
                drop_quietly(made);
                Err(FetchError::Expired(distance(end, now)))
            }
            _ => Ok(Arc::new(Generation::new(made, flight.id))),
        });
        // Hashed from the identity: drawn once per value, with a different seed in each process.
        let draw = |jitter: &RandomState| f64::from((jitter.hash_one(flight.id) >> 32) as u32);
        let draw = self.jitter.as_ref().map_or(0.5, |jitter| draw(jitter) / f64::from(u32::MAX));
        let (retired, _fetch);
        let mut course = lock(&flight.course);
        // Of several waiters that end a flight, at its time limit as well, the first one counts.
        if course.end.is_some() {
            return;
        }
        let mut state = lock(&self.state);
        let outcome;
        (outcome, retired) = match state.flight.take_if(|current| current.id == flight.id) {
            Some(_) => state.settle(fetched, flight.replaces.load(SeqCst), draw, now),
            None => (fetched, None),
        };
        drop(state);
        // The starter sets it when its wait is dropped: an answer that it gets itself is never an
        // orphan's.
        let was_orphan = flight.is_orphan.load(SeqCst);
        course.end = Some(Arc::new(Ended { outcome, was_orphan }));
        _fetch = course.fetch.take();
        drop(course);
        // After both locks: a woken task may poll at once, on this thread, and takes them, and a
        // value's `Drop` may look into the cell.
        flight.waiters.wake_all();
        drop_quietly(retired);
    }
}

impl<V, E> Clone for Renewing<V, E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<V, E> fmt::Debug for Renewing<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewing")
            .field("fetch_timeout", &self.inner.fetch_timeout)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
