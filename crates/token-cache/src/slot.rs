//! The place of one key.

mod flight;
mod renewal;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak},
    time::{Duration, SystemTime},
};

pub use self::renewal::Renewal;
use self::{
    flight::Boarded,
    state::{Look, State},
};
use crate::{
    context::Context,
    expiring::Expiring,
    fetch_error::FetchError,
    lease::{Generation, Home, Lease},
};

/// The place of one key in a [`Cache`](crate::Cache), for callers that ask for the same key again and again.
///
/// Asking it is asking the cache for that key without hashing the key and searching the map. It sees what the
/// cache sees, also after [`clear`](crate::Cache::clear); while it is held, its entry is not evicted. Clones are cheap
/// and share the place.
pub struct Slot<V, E> {
    inner: Arc<Inner<V, E>>,
}

struct Inner<V, E> {
    context: Arc<Context>,
    /// Held while a caller makes a value synchronously; guards nothing but that.
    making: Mutex<()>,
    /// Held for a few instructions at a time, never while code of the user runs: neither a fetch nor the clock nor
    /// the `Drop` of a value. So it may be locked under the map's own locks.
    state: Mutex<State<V, E>>,
}

impl<V, E> Slot<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { inner: Arc::new(Inner { context, making: Mutex::new(()), state: Mutex::new(State::new()) }) }
    }

    /// Returns the value if it may be used; as [`Cache::get`](crate::Cache::get).
    pub fn get(&self, max_age: Duration) -> Option<Lease<V>> {
        let lease = self.usable(self.inner.context.now(), max_age);
        if lease.is_none() {
            self.inner.context.counters.misses.one();
        }
        lease
    }

    /// Returns the value if it may be used, else makes one; as
    /// [`Cache::get_or_insert_with`](crate::Cache::get_or_insert_with).
    ///
    /// # Errors
    ///
    /// Returns the error of `make`.
    pub fn get_or_insert_with<F>(
        &self,
        max_age: Duration,
        make: impl FnOnce() -> Result<Expiring<V>, F>,
    ) -> Result<Lease<V>, F> {
        if max_age.is_zero() {
            return make_unstored(&self.inner.context, make);
        }
        if let Some(lease) = self.usable(self.inner.context.now(), max_age) {
            return Ok(lease);
        }
        self.inner.context.counters.misses.one();
        let seen = self.inner.lock().held_id();
        let _making = self.inner.begin_making();
        let now = self.inner.context.now();
        let epoch = {
            let state = self.inner.lock();
            if let Some(held) = state.usable(now, max_age) {
                let held = Arc::clone(held);
                return Ok(if seen == Some(held.id()) { Lease::cached(held) } else { Lease::fresh(held) });
            }
            state.epoch()
        };
        let made = make()?;
        self.inner.context.counters.made.one();
        Ok(Lease::fresh(self.inner.keep(made, epoch)))
    }

    /// Returns the living value or waits for the one fetch that all callers share; as
    /// [`Cache::get_or_fetch`](crate::Cache::get_or_fetch).
    ///
    /// # Errors
    ///
    /// Returns what the fetch that it waited for failed with, if there is no living value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and the next caller drives it on.
    pub async fn get_or_fetch<F, Fut>(
        &self,
        fetch: F,
    ) -> Result<(Lease<V>, Option<Renewal<V, E>>), FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        if let Some(lease) = self.served(self.inner.context.now()) {
            return Ok((lease, None));
        }
        let (flight, had_living) = match self.inner.board(fetch) {
            Boarded::Serve(held, renewal) => return Ok((Lease::cached(held), renewal)),
            Boarded::Wait { flight, has_living } => (flight, has_living),
        };
        match flight.attempt.await {
            Ok(fetched) => Ok((Lease::fresh(fetched), None)),
            Err(error) if had_living => {
                let now = self.inner.context.now();
                let held = self.inner.lock().living(now).cloned().ok_or(error)?;
                self.inner.context.counters.stale_served.one();
                Ok((Lease::cached(held), None))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a value of another generation than `than`; as [`Cache::refetch`](crate::Cache::refetch).
    ///
    /// # Errors
    ///
    /// Returns what the fetch that it waited for failed with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the fetch stays in its place and the next caller drives it on.
    pub async fn refetch<F, Fut>(&self, than: &Lease<V>, fetch: F) -> Result<Lease<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        match self.inner.board_anew(than.generation(), fetch) {
            Ok(held) => Ok(Lease::cached(held)),
            Err(flight) => flight.attempt.await.map(Lease::fresh),
        }
    }

    /// A lease on the value if a reader may use it, counted as a hit.
    pub(crate) fn usable(&self, now: SystemTime, max_age: Duration) -> Option<Lease<V>> {
        let mut state = self.inner.lock();
        let held = Arc::clone(state.usable(now, max_age)?);
        state.hits += 1;
        Some(Lease::cached(held))
    }

    /// A lease on the living value if nothing is to be done about it, counted as a hit.
    pub(crate) fn served(&self, now: SystemTime) -> Option<Lease<V>> {
        let mut state = self.inner.lock();
        let Look::Serve(held) = state.look(now, &self.inner.context) else {
            return None;
        };
        state.hits += 1;
        Some(Lease::cached(held))
    }
}

impl<V, E> Slot<V, E> {
    /// Whether anyone beside the map holds this slot; exact only under the map's lock.
    pub(crate) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.inner) > 1
    }

    /// How often its value was served at once.
    pub(crate) fn hits(&self) -> u64 {
        self.inner.lock().hits
    }

    pub(crate) fn holds_value(&self) -> bool {
        self.inner.lock().held_id().is_some()
    }

    /// The moment from which nothing is lost with this slot; none if it is empty.
    pub(crate) fn lives_until(&self) -> Option<SystemTime> {
        self.inner.lock().lives_until(&self.inner.context.limits)
    }

    /// Begins a new epoch and returns what the old one held, for the caller to drop outside the map's lock.
    pub(crate) fn clear(&self) -> impl Sized + use<V, E> {
        self.inner.lock().clear()
    }
}

impl<V, E> Clone for Slot<V, E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<V, E> fmt::Debug for Slot<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("holds_value", &self.holds_value()).finish_non_exhaustive()
    }
}

/// Makes a value that no slot ever holds.
pub(crate) fn make_unstored<V, F>(
    context: &Context,
    make: impl FnOnce() -> Result<Expiring<V>, F>,
) -> Result<Lease<V>, F> {
    context.counters.misses.one();
    let made = make()?;
    context.counters.made.one();
    Ok(Lease::fresh(Arc::new(Generation::new(made, Weak::<Nowhere>::new(), context))))
}

/// The home of values that are not kept.
struct Nowhere;

impl Home for Nowhere {
    fn reject(&self, _: u64) -> bool {
        false
    }
}

impl<V, E> Inner<V, E> {
    // A panic under the lock cannot happen: nothing of the user's runs there.
    fn lock(&self) -> MutexGuard<'_, State<V, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else makes a value. One who panicked has stored nothing, so poison means nothing.
    fn begin_making(&self) -> MutexGuard<'_, ()> {
        match self.making.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.context.counters.waits.one();
                self.making.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

impl<V, E> Inner<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn generation(self: &Arc<Self>, made: Expiring<V>) -> Arc<Generation<V>> {
        let home: Weak<Self> = Arc::downgrade(self);
        Arc::new(Generation::new(made, home, &self.context))
    }

    /// Stores what was made, unless it is near its end or the cache was cleared meanwhile.
    fn keep(self: &Arc<Self>, made: Expiring<V>, epoch: u64) -> Arc<Generation<V>> {
        let made = self.generation(made);
        // Declared before the lock is taken, so dropped after it is released.
        let _retired;
        if made.is_outside_margin(self.context.now()) {
            let mut state = self.lock();
            if state.epoch() == epoch {
                _retired = state.store(Arc::clone(&made));
            }
        }
        made
    }
}

impl<V, E> Drop for Inner<V, E> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.context.counters.hits_of_the_gone.add(state.hits);
    }
}

impl<V, E> Home for Inner<V, E>
where
    V: Send + Sync,
    E: Send + Sync,
{
    fn reject(&self, id: u64) -> bool {
        let rejected = self.lock().reject(id);
        if rejected.is_some() {
            self.context.counters.rejected.one();
        }
        rejected.is_some()
    }
}
