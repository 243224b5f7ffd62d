//! A cell for one value that is fetched.

mod flight;
mod renewal;
mod state;
mod waiters;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::renewal::Renewal;
use self::{
    flight::{Fetch, Flight, Outcome, Wait},
    state::{Lookup, State},
};
use crate::{
    clock::Clock,
    expiring::{End, Expiring},
    fetch_error::FetchError,
    lease::{Generation, Lease},
    stats::{Counter, RenewingStats},
    sync::{Mutex, lock},
    time::span,
};

/// One value that costs much to get, such as credentials: fetched once for all who wait, renewed
/// ahead of its end, and served on while its source is down.
///
/// What a caller gets depends on the life of the value:
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
/// A value [without an end](Expiring::without_end) is renewed in the same way and served for as
/// long as it takes.
///
/// While a value lives, a fetch that fails or brings nothing better starts a back-off of 1 s,
/// doubled by each further one up to 30 s. During it the value is served at once and nothing is
/// fetched.
///
/// The fetch belongs to the cell and is polled by whichever of its waiters is scheduled, so it is
/// neither cancelled nor started anew by a caller that gives up. It ends at its time limit, which
/// every waiter brings with a timer of its own; past it, the next caller starts another. If its
/// starter is gone, perhaps with the runtime that owned its sockets, and the fetch panics or times
/// out, a caller that joined it starts another one, once. An error of the source is an answer, and
/// everybody who waits gets it.
///
/// Clones are cheap and share everything. No lock is held while code of the user runs or a value of
/// the user is dropped.
pub struct Renewing<V, E> {
    inner: Arc<Inner<V, E>>,
}

struct Inner<V, E> {
    clock: Arc<dyn Clock>,
    fetch_timeout: Duration,
    /// `None` in tests that count on the middle.
    jitter: Option<RandomState>,
    state: Mutex<State<V, E>>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    fetches: Counter,
    fetches_failed: Counter,
    misses: Counter,
    renewals_failed: Counter,
    stale_served: Counter,
    waits: Counter,
}

/// The unexpired value, and its renewal if it is due and this is the caller to run it.
pub type Served<V, E> = (Lease<V>, Option<Renewal<V, E>>);

/// What a call does next.
enum Step<V, E> {
    Serve(Lease<V>, Option<Renewal<V, E>>),
    Wait { wait: Wait<V, E>, has_unexpired: bool },
}

impl<V, E> Renewing<V, E> {
    /// Creates an empty cell, whose fetches may take so long.
    pub fn new(clock: Arc<dyn Clock>, fetch_timeout: Duration) -> Self {
        Self::with_jitter(clock, fetch_timeout, Some(RandomState::new()))
    }

    /// Creates an empty cell whose refresh windows are all of 20 % and not drawn.
    #[cfg(feature = "test-util")]
    pub fn without_jitter(clock: Arc<dyn Clock>, fetch_timeout: Duration) -> Self {
        Self::with_jitter(clock, fetch_timeout, None)
    }

    fn with_jitter(clock: Arc<dyn Clock>, fetch_timeout: Duration, jitter: Option<RandomState>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                fetch_timeout,
                jitter,
                state: Mutex::new(State::new()),
                counters: Counters::default(),
            }),
        }
    }

    /// Begins a new epoch: drops the value, and what is being fetched at this moment will not be
    /// stored.
    ///
    /// Callers that wait for such a fetch still get its outcome; a call that comes later starts
    /// another.
    pub fn clear(&self) {
        let mut state = lock(&self.inner.state);
        let retired = state.clear();
        drop(state);
        drop(retired);
    }

    /// Returns the counters.
    pub fn stats(&self) -> RenewingStats {
        let counters = &self.inner.counters;
        RenewingStats {
            fetches: counters.fetches.value(),
            fetches_failed: counters.fetches_failed.value(),
            hits: lock(&self.inner.state).hits,
            misses: counters.misses.value(),
            renewals_failed: counters.renewals_failed.value(),
            stale_served: counters.stale_served.value(),
            waits: counters.waits.value(),
        }
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
    /// Returns what the fetch failed with, the same to all that waited for it, if there is no
    /// unexpired value. The next call starts a new fetch.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it
    /// on.
    pub async fn get<F, Fut>(&self, fetch: F) -> Result<Served<V, E>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let mut start = once(fetch);
        let mut may_replace = true;
        loop {
            let (wait, had_unexpired) = match self.inner.look(None, &mut start) {
                Step::Serve(lease, renewal) => return Ok((lease, renewal)),
                Step::Wait { wait, has_unexpired } => (wait, has_unexpired),
            };
            let error = match wait.outcome(&mut may_replace).await {
                Some(Ok(fetched)) => return Ok((Lease::fresh(fetched), None)),
                Some(Err(error)) => error,
                None => continue,
            };
            let now = self.inner.clock.now();
            let unexpired = lock(&self.inner.state).unexpired(now).cloned();
            let held = unexpired.filter(|_| had_unexpired).ok_or(error)?;
            self.inner.counters.stale_served.one();
            return Ok((Lease::cached(held), None));
        }
    }

    /// Returns the unexpired value if it can be had without waiting, with the renewal that is due.
    ///
    /// `None` where [`get`](Self::get) would wait. Starts a fetch only as a part of a renewal.
    pub fn try_get<F, Fut>(&self, fetch: F) -> Option<Served<V, E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.inner.clock.now();
        let lookup = lock(&self.inner.state).look(None, now, self.inner.fetch_timeout);
        if matches!(lookup, Lookup::Wait { .. }) {
            return None;
        }
        match self.inner.look(None, &mut once(fetch)) {
            Step::Serve(lease, renewal) => Some((lease, renewal)),
            Step::Wait { .. } => None,
        }
    }

    /// Returns a value of another generation than `than`, for callers to whom that one has been
    /// refused.
    ///
    /// If the cell already holds an unexpired value of another generation, that is it, so that any
    /// number of refused callers cost one fetch. Else all wait for one fetch, whatever the back-off
    /// says, and what it brings is stored even if it expires no later.
    ///
    /// # Errors
    ///
    /// Returns what the fetch failed with. The unexpired value, if any, stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it
    /// on.
    pub async fn refetch<F, Fut>(&self, than: &Lease<V>, fetch: F) -> Result<Lease<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let mut start = once(fetch);
        let mut may_replace = true;
        loop {
            let wait = match self.inner.look(Some(than.generation()), &mut start) {
                Step::Serve(lease, _) => return Ok(lease),
                Step::Wait { wait, .. } => wait,
            };
            if let Some(outcome) = wait.outcome(&mut may_replace).await {
                return outcome.map(Lease::fresh);
            }
        }
    }
}

/// Starts a fetch, once: its closure runs at the first poll, outside the lock.
fn once<V: 'static, E: 'static, F, Fut>(fetch: F) -> impl FnMut() -> Fetch<V, E>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
{
    let mut fetch = Some(fetch);
    move || match fetch.take() {
        Some(fetch) => Box::pin(async move { fetch().await }),
        // A caller starts one flight at most.
        None => Box::pin(std::future::pending()),
    }
}

impl<V, E> Inner<V, E> {
    /// Serves the unexpired value unless it is the refused generation, or joins the flight under
    /// way, or starts one.
    fn look(self: &Arc<Self>, refused: Option<u64>, start: &mut dyn FnMut() -> Fetch<V, E>) -> Step<V, E> {
        let now = self.clock.now();
        // Declared before the lock is taken, so that what the user's future owns is dropped after
        // its release.
        let mut aside = None;
        let mut state = lock(&self.state);
        let (due, has_unexpired) = match state.look(refused, now, self.fetch_timeout) {
            Lookup::Serve(held) => {
                state.hits += 1;
                return Step::Serve(Lease::cached(held), None);
            }
            Lookup::Renew(held) => (Some(held), true),
            Lookup::Wait { has_unexpired } => (None, has_unexpired),
        };
        let (flight, starter) = self.join(&mut state, now, start, &mut aside);
        if let Some(held) = due {
            state.claim();
            state.hits += 1;
            drop(state);
            let renewal = Renewal::new(Arc::clone(self), flight, starter);
            return Step::Serve(Lease::cached(held), Some(renewal));
        }
        state.replace(!has_unexpired);
        drop(state);
        self.counters.misses.one();
        if starter.is_none() {
            self.counters.waits.one();
        }
        Step::Wait { wait: Wait::new(Arc::clone(self), flight, starter), has_unexpired }
    }

    fn join(
        &self,
        state: &mut State<V, E>,
        now: SystemTime,
        start: &mut dyn FnMut() -> Fetch<V, E>,
        aside: &mut Option<Arc<Flight<V, E>>>,
    ) -> (Arc<Flight<V, E>>, Option<Arc<()>>) {
        if let Some(flight) = state.under_way(now, self.fetch_timeout, aside) {
            return (Arc::clone(flight), None);
        }
        self.counters.fetches.one();
        let starter = Arc::new(());
        let flight = Arc::new(Flight::new(state.next_id(), now, &starter, start()));
        state.start(&flight);
        (flight, Some(starter))
    }

    /// Stores what a flight brought, unless the cell was cleared or the flight replaced meanwhile.
    fn complete(&self, flight: u64, fetched: Result<Expiring<V>, FetchError<E>>) -> Outcome<V, E> {
        let now = self.clock.now();
        let fetched = fetched.and_then(|made| match made.end {
            End::At(end) if end <= now => Err(FetchError::Expired(span(end, now))),
            _ => Ok(made),
        });
        // Declared before the lock is taken, so that it is dropped after its release.
        let _retired;
        let mut state = lock(&self.state);
        let id = state.next_id();
        let fetched = fetched.map(|made| Arc::new(Generation::new(made, id)));
        if !state.take(flight) {
            return fetched;
        }
        if let Some(better) = fetched.as_ref().ok().filter(|made| state.is_better(made, now)) {
            // Of the identity, so drawn once per value, and with another seed in each process.
            let draw =
                |jitter: &RandomState| f64::from((jitter.hash_one(id) >> 32) as u32) / f64::from(u32::MAX);
            let draw = self.jitter.as_ref().map_or(0.5, draw);
            _retired = state.store(Arc::clone(better), draw, now);
            return fetched;
        }
        let serves = state.fail(now);
        drop(state);
        match (&fetched, serves) {
            (Ok(_), _) => return Err(FetchError::NotExtended),
            (Err(_), true) => self.counters.renewals_failed.one(),
            (Err(_), false) => self.counters.fetches_failed.one(),
        }
        fetched
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
