//! A renewal that is due, for one caller to run.

use std::{fmt, sync::atomic::Ordering::SeqCst};

use super::flight::Wait;
use crate::{fetch_error::FetchError, lease::Lease};

/// A renewal that is due, handed to exactly one of the callers that were served the unexpired
/// value.
///
/// The cell starts no task: spawn [`run`](Self::run), await it in place, or drop it. Dropping it,
/// before or while it runs, loses nothing: the next caller receives the same fetch and continues
/// it.
#[must_use = "nothing is renewed until `run` is awaited or spawned"]
pub struct Renewal<V, E>(Wait<V, E>);

impl<V, E> Renewal<V, E> {
    /// Claims the flight: no other caller is offered it until this is dropped.
    pub(super) fn claim(mut wait: Wait<V, E>) -> Self {
        // Only `look` calls this, under the lock of the state: no two callers claim one flight.
        wait.is_claim = true;
        wait.flight.is_claimed.store(true, SeqCst);
        Self(wait)
    }

    /// Fetches the new value and stores it.
    ///
    /// # Errors
    ///
    /// Returns why the fetch gave no better value. The unexpired one stays in use and the next
    /// renewal is offered after a back-off, so the error is only worth a log line.
    pub async fn run(self) -> Result<Lease<V>, FetchError<E>>
    where
        V: Send + Sync + 'static,
        E: Clone + Send + Sync + 'static,
    {
        self.0.end().await.outcome.clone().map(Lease::fresh)
    }
}

impl<V, E> fmt::Debug for Renewal<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").finish_non_exhaustive()
    }
}
