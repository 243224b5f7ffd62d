//! The cell of one value that is fetched.

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
    flight::{Flight, Outcome, Wait},
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

/// One value that costs much to get, such as credentials: fetched once for all who wait, renewed ahead of its end, and
/// served on while its source is down.
///
/// What a caller gets depends on the life of the value:
///
/// - Until its lead, which begins 15–25 % of its life before its end, and 15 minutes before at most: the value, at
///   once.
/// - Within the lead: the value, at once. One caller also gets a [`Renewal`] to run beside its own work.
/// - Within the last 60 s (a quarter of the life of a value that lives shorter than four minutes): the outcome of one
///   reload that callers wait for, and the value if that fails. One reload in 5 s at most.
/// - Without a value, or with an expired one: the outcome of one fetch that callers wait for.
///
/// A value [without an end](Expiring::without_end) is renewed in the same way and served for as long as it takes.
///
/// While a value lives, a fetch that fails or brings nothing better starts a back-off of 1 s, doubled by each further
/// one up to 30 s. During it the value is served at once and nothing is fetched.
///
/// The fetch belongs to the cell and is polled by whichever of its waiters is scheduled, so it is neither cancelled nor
/// started anew by a caller that gives up. It ends at its time limit, which every waiter brings with a timer of its own;
/// past it, the next caller starts another. If whoever started it is gone, perhaps with the runtime that its sockets
/// belong to, and it fails, a caller that joined it starts another once.
///
/// Clones are cheap and share everything. No lock is held while code of the user runs or a value of the user is dropped.
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

/// The living value, and its renewal if it is due and this is the caller to run it.
pub type Served<V, E> = (Lease<V>, Option<Renewal<V, E>>);

/// What a call is to do.
enum Step<V, E> {
    Serve(Lease<V>, Option<Renewal<V, E>>),
    Wait { wait: Wait<V, E>, has_living: bool },
}

impl<V, E> Renewing<V, E> {
    /// Creates an empty cell, whose fetches may take so long.
    pub fn new(clock: Arc<dyn Clock>, fetch_timeout: Duration) -> Self {
        Self::with_jitter(clock, fetch_timeout, Some(RandomState::new()))
    }

    /// Creates an empty cell whose leads are all of 20 % and not drawn.
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

    /// Begins a new epoch: drops the value, and what is being fetched at this moment will not be stored.
    ///
    /// Callers that wait for such a fetch still get its outcome; a call that comes later starts another.
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
    /// Returns the living value, or waits for the one fetch that all callers share.
    ///
    /// # Errors
    ///
    /// Returns what the fetch failed with, the same to all that waited for it, if there is no living value. The next
    /// call starts a new fetch.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it on.
    pub async fn get<F, Fut>(&self, fetch: F) -> Result<Served<V, E>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let mut fetch = Some(fetch);
        loop {
            let (wait, had_living) = match self.inner.look(&mut fetch) {
                Step::Serve(lease, renewal) => return Ok((lease, renewal)),
                Step::Wait { wait, has_living } => (wait, has_living),
            };
            let error = match wait.await {
                (Ok(fetched), _) => return Ok((Lease::fresh(fetched), None)),
                // Whoever started it is gone; only a caller that started none itself comes here again.
                (Err(_), true) if fetch.is_some() => continue,
                (Err(error), _) => error,
            };
            let now = self.inner.clock.now();
            let living = lock(&self.inner.state).living(now).cloned();
            let held = living.filter(|_| had_living).ok_or(error)?;
            self.inner.counters.stale_served.one();
            return Ok((Lease::cached(held), None));
        }
    }

    /// Returns the living value if it can be had without waiting, with the renewal that is due.
    ///
    /// `None` where [`get`](Self::get) would wait. Starts a fetch only as a part of a renewal.
    pub fn try_get<F, Fut>(&self, fetch: F) -> Option<Served<V, E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.inner.clock.now();
        let is_waiting = |lookup: &Lookup<V>| matches!(lookup, Lookup::Wait { .. });
        let lookup = lock(&self.inner.state).look(now, self.inner.fetch_timeout);
        if is_waiting(&lookup) {
            return None;
        }
        match self.inner.look(&mut Some(fetch)) {
            Step::Serve(lease, renewal) => Some((lease, renewal)),
            Step::Wait { .. } => None,
        }
    }

    /// Returns a value of another generation than `than`, for callers to whom that one has been refused.
    ///
    /// If the cell already holds a living value of another generation, that is it, so that any number of refused
    /// callers cost one fetch. Else all wait for one fetch, whatever the back-off says, and what it brings is stored
    /// even if it expires no later.
    ///
    /// # Errors
    ///
    /// Returns what the fetch failed with. The living value, if any, stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and another caller drives it on.
    pub async fn refetch<F, Fut>(&self, than: &Lease<V>, fetch: F) -> Result<Lease<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let mut fetch = Some(fetch);
        loop {
            let wait = match self.inner.look_anew(than.generation(), &mut fetch) {
                Step::Serve(lease, _) => return Ok(lease),
                Step::Wait { wait, .. } => wait,
            };
            match wait.await {
                (Err(_), true) if fetch.is_some() => {}
                (outcome, _) => return outcome.map(Lease::fresh),
            }
        }
    }
}

impl<V, E> Inner<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Serves the living value, or joins the flight under way, or starts one with `fetch`, which is taken only then.
    fn look<F, Fut>(self: &Arc<Self>, fetch: &mut Option<F>) -> Step<V, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.clock.now();
        // Declared before the lock is taken, so that what the user's future owns is dropped after its release.
        let mut aside = None;
        let mut state = lock(&self.state);
        let (due, has_living) = match state.look(now, self.fetch_timeout) {
            Lookup::Serve(held) => {
                state.hits += 1;
                return Step::Serve(Lease::cached(held), None);
            }
            Lookup::Renew(held) => (Some(held), true),
            Lookup::Wait { has_living } => (None, has_living),
        };
        let (flight, starter) = self.join(&mut state, now, fetch, &mut aside);
        if let Some(held) = due {
            state.claim();
            state.hits += 1;
            drop(state);
            let renewal = Renewal::new(Arc::clone(self), flight, starter);
            return Step::Serve(Lease::cached(held), Some(renewal));
        }
        state.replace(!has_living);
        drop(state);
        Step::Wait { wait: self.wait(flight, starter), has_living }
    }

    /// Serves the living value if it is not generation `than`, or joins the flight under way, or starts one.
    fn look_anew<F, Fut>(self: &Arc<Self>, than: u64, fetch: &mut Option<F>) -> Step<V, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.clock.now();
        // As in `look`.
        let mut aside = None;
        let mut state = lock(&self.state);
        if let Some(held) = state.living(now).filter(|held| held.id() != than).cloned() {
            state.hits += 1;
            return Step::Serve(Lease::cached(held), None);
        }
        let (flight, starter) = self.join(&mut state, now, fetch, &mut aside);
        state.replace(true);
        drop(state);
        Step::Wait { wait: self.wait(flight, starter), has_living: true }
    }

    fn join<F, Fut>(
        self: &Arc<Self>,
        state: &mut State<V, E>,
        now: SystemTime,
        fetch: &mut Option<F>,
        aside: &mut Option<Arc<Flight<V, E>>>,
    ) -> (Arc<Flight<V, E>>, Option<Arc<()>>)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        if let Some(flight) = state.under_way(now, self.fetch_timeout, aside) {
            return (Arc::clone(flight), None);
        }
        self.counters.fetches.one();
        let starter = Arc::new(());
        let fetch = fetch.take();
        // The user's closure runs at the first poll, outside the lock.
        let fetch = Box::pin(async move {
            match fetch {
                Some(fetch) => fetch().await,
                // A caller starts one flight at most.
                None => std::future::pending().await,
            }
        });
        let flight = Arc::new(Flight::new(state.next_id(), now, &starter, fetch));
        state.start(&flight);
        (flight, Some(starter))
    }

    fn wait(self: &Arc<Self>, flight: Arc<Flight<V, E>>, starter: Option<Arc<()>>) -> Wait<V, E> {
        self.counters.misses.one();
        if starter.is_none() {
            self.counters.waits.one();
        }
        Wait::new(Arc::clone(self), flight, starter)
    }
}

impl<V, E> Inner<V, E> {
    /// Stores what a flight brought, unless the cell was cleared or the flight replaced meanwhile.
    fn complete(&self, flight: u64, fetched: Result<Expiring<V>, FetchError<E>>) -> Outcome<V, E> {
        let now = self.clock.now();
        let fetched = fetched.and_then(|made| match made.end {
            End::At(end) if end <= now => Err(FetchError::Expired(span(end, now))),
            _ => Ok(made),
        });
        // Declared before the lock is taken, so that they are dropped after its release.
        let (_flight, _retired);
        let mut state = lock(&self.state);
        let id = state.next_id();
        let fetched = fetched.map(|made| Arc::new(Generation::new(made, id)));
        let Some(taken) = state.take(flight) else {
            return fetched;
        };
        _flight = taken;
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
