//! Counts of sessions, clients and bytes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::relay::Moved;

/// The counts of one target while it serves; [`Counters::read`] takes a snapshot.
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

/// The counts of one target since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Open sessions.
    pub open: u64,
    /// Sessions opened so far, those that ended included.
    pub opened: u64,
    /// Clients refused before a login at the server: wrong account, user or password, too many
    /// sessions, another protocol, or an unfinished login.
    pub refused_clients: u64,
    /// Clients whose login at the server failed.
    pub failed_logins: u64,
    /// Cancel requests forwarded to a server.
    pub cancels: u64,
    /// Bytes moved to the server, by ended sessions.
    pub bytes_from_clients: u64,
    /// Bytes moved to the clients, by ended sessions.
    pub bytes_from_server: u64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }

    /// Counts a session as open until the returned guard is dropped.
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

/// Counts one open session until it is dropped.
pub(crate) struct Open<'c>(&'c Counters);

impl Open<'_> {
    /// Adds the bytes that the session moved.
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
