//! A gate at which connections wait until a test opens it.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds connections until the test opens it: a delay controlled by the test, without sleeping.
///
/// Clones are handles to the same gate. A gate that is never opened is a server that hangs.
#[derive(Clone, Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    open: watch::Sender<bool>,
    arrivals: watch::Sender<usize>,
}

impl Gate {
    /// Creates a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(State { open: watch::Sender::new(false), arrivals: watch::Sender::new(0) }))
    }

    /// Lets all waiting and later connections pass.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits until at least `count` connections have reached the gate, waiting or passed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; arrivals are counted by the gate.
    pub async fn arrived(&self, count: usize) {
        // The sender lives in `self`.
        let _ = self.0.arrivals.subscribe().wait_for(|arrivals| *arrivals >= count).await;
    }

    pub(crate) async fn pass(&self) {
        // Counted before the wait: a test learns of a connection that hangs here.
        self.0.arrivals.send_modify(|arrivals| *arrivals += 1);
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
