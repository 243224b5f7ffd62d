//! The connections that were handed out, so that those to a former writer can be ended.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use wrapper_core::{AbortHandle, Error, Established, Role};

/// Keeps a handle of every living connection; it keeps none alive.
#[derive(Debug, Default)]
pub(crate) struct HandedOut(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: Vec<Connection>,
    /// How many there may be before the dead ones are looked for.
    limit: usize,
}

#[derive(Debug)]
struct Connection {
    instance: Arc<str>,
    role: Option<Role>,
    at: Instant,
    handle: AbortHandle,
}

impl HandedOut {
    pub(crate) fn add(&self, instance: &Arc<str>, established: &Established) {
        let handle = established.abort_handle();
        if !handle.is_held() {
            return;
        }
        // Whole entries: no panic can leave one half written.
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.connections.len() >= inner.limit {
            inner.connections.retain(|connection| connection.handle.is_held());
            inner.limit = (inner.connections.len() * 2).max(64);
        }
        let (role, at) = (established.role(), established.at());
        let instance = Arc::clone(instance);
        inner.connections.push(Connection { instance, role, at, handle: handle.clone() });
    }

    /// Ends the connections to an instance that were open before: those of writers, or all. Returns
    /// how many there were.
    pub(crate) fn cut(&self, instance: &str, before: Instant, is_all: bool, reason: &Error) -> usize {
        let is_meant = |connection: &mut Connection| {
            connection.instance.eq_ignore_ascii_case(instance)
                && connection.at < before
                && (is_all || connection.role == Some(Role::Writer))
        };
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meant: Vec<_> = inner.connections.extract_if(.., is_meant).collect();
        drop(inner);
        // Outside of the lock: a waker may run anything.
        meant.into_iter().filter(|connection| connection.handle.abort(reason.clone())).count()
    }
}
