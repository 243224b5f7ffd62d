//! What a proxy counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::relay::Moved;

/// Counts for one target; see [`Counters::read`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) open: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) refused_clients: AtomicU64,
    pub(crate) failed_logins: AtomicU64,
    pub(crate) cancels: AtomicU64,
    pub(crate) from_clients: AtomicU64,
    pub(crate) from_server: AtomicU64,
}

/// What one target did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions that live.
    pub open: u64,
    /// Sessions that were opened.
    pub opened: u64,
    /// Clients that got no login at the server: wrong account, user or password, no room, or no
    /// PostgreSQL.
    pub refused_clients: u64,
    /// Clients whose login at the server failed.
    pub failed_logins: u64,
    /// Cancel requests that were passed on.
    pub cancels: u64,
    /// Bytes that ended sessions moved to the server.
    pub bytes_from_clients: u64,
    /// Bytes that ended sessions moved to the clients.
    pub bytes_from_server: u64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    /// Counts a session that begins; it ends when the returned value goes.
    pub(crate) fn begin(&self) -> Open<'_> {
        Self::add(&self.opened, 1);
        Self::add(&self.open, 1);
        Open(self)
    }

    pub(crate) fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            open: read(&self.open),
            opened: read(&self.opened),
            refused_clients: read(&self.refused_clients),
            failed_logins: read(&self.failed_logins),
            cancels: read(&self.cancels),
            bytes_from_clients: read(&self.from_clients),
            bytes_from_server: read(&self.from_server),
        }
    }
}

/// A session that lives.
pub(crate) struct Open<'c>(&'c Counters);

impl Open<'_> {
    /// Counts what it moved.
    pub(crate) fn moved(&self, moved: Moved) {
        Counters::add(&self.0.from_clients, moved.from_client);
        Counters::add(&self.0.from_server, moved.from_server);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
