//! The one attempt to fetch a value that all callers of a slot share.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Weak},
    time::SystemTime,
};

use futures_util::{
    FutureExt,
    future::{Either, Shared, pending, select},
};

use super::{Inner, renewal::Renewal, state::Look};
use crate::{
    clock::BoxFuture,
    context::{Context, Limits},
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Generation,
    time::{distance, span},
};

type Outcome<V, E> = Result<Arc<Generation<V>>, FetchError<E>>;

pub(super) struct Flight<V, E> {
    pub(super) id: u64,
    pub(super) started_at: SystemTime,
    /// Someone has a [`Renewal`] that drives it.
    pub(super) is_claimed: bool,
    /// Someone needs what it brings even if that does not outlive the value held by then: a caller who was refused
    /// with that value, or one who found none and met another that was made in place meanwhile.
    pub(super) replaces: bool,
    /// Driven by whoever waits: dropping a caller neither stops nor restarts it.
    pub(super) attempt: Shared<BoxFuture<'static, Outcome<V, E>>>,
}

/// What a caller of `get_or_fetch` is to do.
pub(super) enum Boarded<V, E> {
    Serve(Arc<Generation<V>>, Option<Renewal<V, E>>),
    Wait { flight: Flight<V, E>, has_living: bool },
}

impl<V, E> Flight<V, E> {
    /// Whether it is so old that it must be replaced.
    pub(super) fn is_stuck(&self, now: SystemTime, limits: &Limits) -> bool {
        // Once the clock has been set back by more than that age, nothing tells how old it is.
        distance(self.started_at, now) > limits.stuck_after
    }
}

impl<V, E> Clone for Flight<V, E> {
    fn clone(&self) -> Self {
        Self { attempt: self.attempt.clone(), ..*self }
    }
}

impl<V, E> Inner<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Serves the living value, or joins the attempt under way, or starts one.
    pub(super) fn board<F, Fut>(self: &Arc<Self>, fetch: F) -> Boarded<V, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.context.now();
        // Declared before the lock is taken, so that what the user's future owns is dropped after its release. So is
        // `fetch` where it is not needed: parameters are dropped last.
        let _stuck;
        let mut state = self.lock();
        let (due, has_living) = match state.look(now, &self.context) {
            Look::Serve(held) => {
                state.hits += 1;
                return Boarded::Serve(held, None);
            }
            Look::Renew(held) => (Some(held), true),
            Look::Wait { has_living } => (None, has_living),
        };
        _stuck = state.flight.take_if(|flight| flight.is_stuck(now, &self.context.limits));
        let is_under_way = state.flight.is_some();
        let flight = match &mut state.flight {
            Some(flight) => flight,
            none => none.insert(self.start(now, fetch)),
        };
        if let Some(held) = due {
            flight.is_claimed = true;
            let flight = flight.clone();
            state.hits += 1;
            return Boarded::Serve(held, Some(Renewal::new(Arc::clone(self), flight)));
        }
        flight.replaces |= !has_living;
        self.count_waiter(is_under_way);
        Boarded::Wait { flight: flight.clone(), has_living }
    }

    /// Returns the living value if it is not generation `than`, else joins the attempt under way or starts one.
    pub(super) fn board_anew<F, Fut>(
        self: &Arc<Self>,
        than: u64,
        fetch: F,
    ) -> Result<Arc<Generation<V>>, Flight<V, E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        let now = self.context.now();
        // As in `board`.
        let _stuck;
        let mut state = self.lock();
        if let Some(held) = state.living(now).filter(|held| held.id() != than).cloned() {
            state.hits += 1;
            return Ok(held);
        }
        _stuck = state.flight.take_if(|flight| flight.is_stuck(now, &self.context.limits));
        let is_under_way = state.flight.is_some();
        let flight = match &mut state.flight {
            Some(flight) => flight,
            none => none.insert(self.start(now, fetch)),
        };
        flight.replaces = true;
        self.count_waiter(is_under_way);
        Err(flight.clone())
    }

    fn count_waiter(&self, is_under_way: bool) {
        self.context.counters.misses.one();
        if is_under_way {
            self.context.counters.waits.one();
        }
    }

    fn start<F, Fut>(self: &Arc<Self>, now: SystemTime, fetch: F) -> Flight<V, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
    {
        self.context.counters.fetches.one();
        let id = self.context.next_id();
        // Weak, because the slot owns the attempt. Whoever drives it holds the slot.
        let slot = Arc::downgrade(self);
        let attempt = attempt(slot, Arc::clone(&self.context), id, now, fetch).boxed().shared();
        Flight { id, started_at: now, is_claimed: false, replaces: false, attempt }
    }

    /// Stores what attempt `id` brought, unless the cache was cleared or the attempt replaced meanwhile.
    fn land(&self, id: u64, fetched: Outcome<V, E>) -> Outcome<V, E> {
        let now = self.context.now();
        // As in `board`.
        let _retired;
        let mut state = self.lock();
        let Some(flight) = state.flight.take_if(|flight| flight.id == id) else {
            return fetched;
        };
        let better = fetched.as_ref().ok().filter(|made| {
            flight.replaces || state.living(now).is_none_or(|held| made.expires_at() > held.expires_at())
        });
        if let Some(better) = better {
            _retired = state.store(Arc::clone(better));
            return fetched;
        }
        if state.fail(now) {
            self.context.counters.renewals_failed.one();
        } else {
            self.context.counters.fetches_failed.one();
        }
        drop(state);
        fetched.and(Err(FetchError::NotExtended))
    }
}

/// Fetches within the time limit and lands in the slot.
async fn attempt<V, E, F, Fut>(
    slot: Weak<Inner<V, E>>,
    context: Arc<Context>,
    id: u64,
    started_at: SystemTime,
    fetch: F,
) -> Outcome<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Expiring<V>, E>> + Send + 'static,
{
    let limit = context.limits.fetch_timeout;
    let race = async {
        let fetch = pin!(async { fetch().await });
        let timer = pin!(async {
            match started_at.checked_add(limit) {
                Some(deadline) => context.clock.sleep_until(deadline).await,
                None => pending().await,
            }
        });
        match select(fetch, timer).await {
            Either::Left((fetched, _)) => fetched.map_err(FetchError::Failed),
            Either::Right(_) => Err(FetchError::TimedOut(limit)),
        }
    };
    let fetched = AssertUnwindSafe(race).catch_unwind().await.unwrap_or(Err(FetchError::Panicked));
    let now = context.now();
    let fetched = fetched.and_then(|made| {
        if made.expires_at <= now {
            return Err(FetchError::Expired(span(made.expires_at, now)));
        }
        Ok(Arc::new(Generation::new(made, slot.clone(), &context)))
    });
    match slot.upgrade() {
        Some(slot) => slot.land(id, fetched),
        None => fetched,
    }
}
