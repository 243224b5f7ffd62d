//! A renewal that is due, for one caller to run.

use std::{fmt, sync::Arc};

use super::{
    Inner,
    flight::{Flight, Wait},
};
use crate::{fetch_error::FetchError, lease::Lease, sync::lock};

/// A renewal that is due, handed to exactly one of the callers that were served the unexpired
/// value.
///
/// The cell starts no task: spawn [`run`](Self::run), await it in place, or drop it. Dropping it,
/// before or while it runs, loses nothing: the next caller is handed the same fetch, to be driven
/// on from where it stood.
#[must_use = "nothing is renewed until `run` is awaited or spawned"]
pub struct Renewal<V, E> {
    cell: Arc<Inner<V, E>>,
    flight: Arc<Flight<V, E>>,
    starter: Option<Arc<()>>,
}

impl<V, E> Renewal<V, E> {
    pub(super) fn new(cell: Arc<Inner<V, E>>, flight: Arc<Flight<V, E>>, starter: Option<Arc<()>>) -> Self {
        Self { cell, flight, starter }
    }

    /// Fetches the new value and stores it.
    ///
    /// # Errors
    ///
    /// Returns why no better value came. The unexpired one goes on serving and the next renewal is
    /// offered after a back-off, so the error is for the log only.
    pub async fn run(self) -> Result<Lease<V>, FetchError<E>>
    where
        E: Clone,
    {
        let wait = Wait::new(Arc::clone(&self.cell), Arc::clone(&self.flight), self.starter.clone());
        wait.await.0.map(Lease::fresh)
    }
}

impl<V, E> Drop for Renewal<V, E> {
    fn drop(&mut self) {
        lock(&self.cell.state).release(self.flight.id);
    }
}

impl<V, E> fmt::Debug for Renewal<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").finish_non_exhaustive()
    }
}
