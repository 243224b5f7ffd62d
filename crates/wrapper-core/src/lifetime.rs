//! The life of a connector, as its background tasks see it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

/// How long the tasks of a closed connector may take to end.
pub(crate) const CLOSE: Duration = Duration::from_secs(5);

/// Ends the background tasks of a connector when it is closed, or dropped with the last clone.
pub(crate) struct Living(watch::Sender<bool>);

/// Tells when a connector ends; keeps nothing alive.
#[derive(Clone)]
pub(crate) struct Lifetime {
    /// Becomes true when the connector is closed, and fails once it is dropped.
    closed: watch::Receiver<bool>,
    /// Has a receiver for each task that runs over the connector.
    tasks: Arc<watch::Sender<()>>,
}

/// One task that runs over a connector, until it is dropped.
pub(crate) struct Task {
    pub(crate) lifetime: Lifetime,
    _counted: watch::Receiver<()>,
}

impl Living {
    pub(crate) fn new() -> (Self, Lifetime) {
        let (sender, closed) = watch::channel(false);
        (Self(sender), Lifetime { closed, tasks: Arc::new(watch::Sender::new(())) })
    }

    /// Lets no further task start.
    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }
}

impl Lifetime {
    /// Returns whether both belong to the same connector.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.closed.same_channel(&other.closed)
    }

    /// Returns whether the connector is closed; a dropped one need not be.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns whether the connector is closed or dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_closed() || self.closed.has_changed().is_err()
    }

    /// Completes once the connector is closed or dropped.
    pub(crate) async fn over(&self) {
        // Fails if it is dropped.
        drop(self.closed.clone().wait_for(|is_closed| *is_closed).await);
    }

    /// Counts a task; `None` if the connector is closed.
    pub(crate) fn begin(&self) -> Option<Task> {
        // Counted before the look: `close` waits for each task that this lets start.
        let task = Task { lifetime: self.clone(), _counted: self.tasks.subscribe() };
        (!self.is_closed()).then_some(task)
    }

    /// Waits until no task is left. A task whose runtime is not driven never ends, so it is waited
    /// for only a second longer than others may take.
    pub(crate) async fn tasks_ended(&self) {
        drop(timeout(CLOSE + Duration::from_secs(1), self.tasks.closed()).await);
    }
}
