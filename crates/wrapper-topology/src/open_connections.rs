//! The connections handed out, so that those to a former writer can be cut.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use wrapper_core::{AbortHandle, Error, Established, Role};

use crate::foreign::guarded;

/// Keeps an abort handle for every open connection, without keeping the connection open.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: Vec<Connection>,
    /// The length at which closed connections are removed.
    limit: usize,
}

#[derive(Debug)]
struct Connection {
    instance: Arc<str>,
    role: Option<Role>,
    at: Instant,
    handle: AbortHandle,
}

impl OpenConnections {
    pub(crate) fn add(&self, instance: &Arc<str>, established: &Established) {
        let handle = established.abort_handle();
        if !handle.is_held() {
            return;
        }
        // Entries are pushed whole: no panic can leave one half written.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Doubling the limit makes the sweep of closed connections constant work per connection.
        if inner.connections.len() >= inner.limit {
            inner.connections.retain(|connection| connection.handle.is_held());
            inner.limit = (inner.connections.len() * 2).max(64);
        }
        let (role, at) = (established.role(), established.at());
        let instance = Arc::clone(instance);
        inner.connections.push(Connection { instance, role, at, handle: handle.clone() });
    }

    /// Ends the connections to an instance opened before this time: those opened as the writer's,
    /// or all. Returns their number.
    pub(crate) fn cut(&self, instance: &str, before: Instant, is_all: bool, reason: &Error) -> usize {
        let is_meant = |connection: &mut Connection| {
            connection.instance.eq_ignore_ascii_case(instance)
                && connection.at < before
                && (is_all || connection.role == Some(Role::Writer))
        };
        // Taken out under the lock: two cuts at the same time abort each connection once.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meant: Vec<_> = inner.connections.extract_if(.., is_meant).collect();
        drop(inner);
        // Outside of the lock: a waker may run arbitrary code. One that panics is called after
        // its connection was ended.
        let end = |handle: &AbortHandle| guarded(|| handle.abort(reason.clone())).unwrap_or(true);
        meant.iter().filter(|connection| end(&connection.handle)).count()
    }
}
