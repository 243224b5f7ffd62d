//! The right to run a renewal.

use std::{fmt, sync::Arc};

use super::{Inner, flight::Flight};
use crate::{fetch_error::FetchError, lease::Lease};

/// A renewal that is due, handed to exactly one of the callers that were served the living value.
///
/// The cache starts no task: spawn [`run`](Self::run), await it in place, or drop it. Dropping it, before or while
/// it runs, loses nothing: the next caller is handed the same attempt, to be driven on from where it stood.
#[must_use = "nothing is renewed until `run` is awaited or spawned"]
pub struct Renewal<V, E> {
    slot: Arc<Inner<V, E>>,
    flight: Flight<V, E>,
}

impl<V, E> Renewal<V, E> {
    pub(super) fn new(slot: Arc<Inner<V, E>>, flight: Flight<V, E>) -> Self {
        Self { slot, flight }
    }
}

impl<V, E> Renewal<V, E>
where
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Fetches the new value and stores it.
    ///
    /// # Errors
    ///
    /// Returns why no better value came. The living one goes on serving and the next renewal is offered after a
    /// back-off, so the error is for the log only.
    pub async fn run(self) -> Result<Lease<V>, FetchError<E>> {
        self.flight.attempt.clone().await.map(Lease::fresh)
    }
}

impl<V, E> Drop for Renewal<V, E> {
    fn drop(&mut self) {
        if let Some(flight) = self.slot.lock().flight.as_mut().filter(|flight| flight.id == self.flight.id) {
            flight.is_claimed = false;
        }
    }
}

impl<V, E> fmt::Debug for Renewal<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("started_at", &self.flight.started_at).finish_non_exhaustive()
    }
}
