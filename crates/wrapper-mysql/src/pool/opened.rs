//! The facts about pooled connections, which the driver's type cannot hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mysql_async::Conn;
use wrapper_core::Established;

/// More connections than the pools of a process hold; beyond it the older half is forgotten and has
/// to be verified by queries.
const MOST: usize = 4_096;

/// A connection: its number is the server's, so that the server belongs to it.
type Key = (Box<str>, u16, u32);

/// Remembers how connections were opened; clones share what they know.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<Mutex<HashMap<Key, Established>>>);

impl Opened {
    /// Remembers a connection that was just opened.
    pub(super) fn note(&self, connection: &Conn, established: Established) {
        self.insert(key(connection), established);
    }

    /// Returns what is known of a connection.
    pub(super) fn of(&self, connection: &Conn) -> Option<Established> {
        self.lock().get(&key(connection)).cloned()
    }

    fn insert(&self, key: Key, established: Established) {
        let mut known = self.lock();
        if known.len() >= MOST {
            // Pools do not report that they drop a connection.
            let mut times: Vec<_> = known.values().map(Established::at).collect();
            let (_, median, _) = times.select_nth_unstable(MOST / 2);
            let median = *median;
            known.retain(|_, established| established.at() > median);
        }
        known.insert(key, established);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Established>> {
        // Whole entries: no panic can leave one half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(connection: &Conn) -> Key {
    let opts = connection.opts();
    (opts.ip_or_hostname().into(), opts.tcp_port(), connection.id())
}
