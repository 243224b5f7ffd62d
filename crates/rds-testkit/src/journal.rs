//! The bounded record of statements and cancel requests after the login.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::bounded::{Bounded, cut};

/// A request to cancel what a session runs, or to end the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cancel {
    /// The session's process id (PostgreSQL) or thread id (MySQL), as the request named it.
    pub session: u32,
    /// Whether the session existed and the request had its key.
    pub matched: bool,
    /// Whether the request ends the session itself: `KILL` or `pg_terminate_backend`.
    pub ends_session: bool,
}

/// The effect of a request on its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Interrupt {
    Session,
    Statement,
}

/// The statements and cancels of one server, and the sessions that can be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    last_session: AtomicU32,
}

#[derive(Debug, Default)]
struct Entries {
    queries: Bounded<String>,
    cancels: Bounded<Cancel>,
    sessions: HashMap<u32, Handle>,
}

/// The handle by which other sessions interrupt a session.
#[derive(Debug)]
struct Handle {
    key: i32,
    cancelled: Arc<Notify>,
    terminated: Arc<Notify>,
}

/// A session that can be cancelled for as long as this lives.
#[derive(Debug)]
pub(crate) struct Cancellable {
    journal: Arc<Journal>,
    pub(crate) session: u32,
    cancelled: Arc<Notify>,
    terminated: Arc<Notify>,
}

impl Journal {
    pub(crate) fn query(&self, sql: &str) {
        self.entries().queries.push(cut(sql).to_owned());
    }

    pub(crate) fn queries(&self) -> Vec<String> {
        self.entries().queries.to_vec()
    }

    pub(crate) fn cancels(&self) -> Vec<Cancel> {
        self.entries().cancels.to_vec()
    }

    /// Assigns a number to a new session; a request to cancel it needs `key`.
    pub(crate) fn open(self: &Arc<Self>, key: i32) -> Cancellable {
        // Relaxed: only uniqueness counts. 31 bits, since PostgreSQL sends the number as an Int32.
        let session = self.last_session.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & 0x7fff_ffff;
        self.adopt(session, key)
    }

    /// Registers a session with the number of another server.
    pub(crate) fn adopt(self: &Arc<Self>, session: u32, key: i32) -> Cancellable {
        let (cancelled, terminated) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handle = Handle { key, cancelled: cancelled.clone(), terminated: terminated.clone() };
        self.entries().sessions.insert(session, handle);
        Cancellable { journal: self.clone(), session, cancelled, terminated }
    }

    /// Records a request and carries it out; requests by SQL have no key. Returns whether the
    /// session existed.
    pub(crate) fn interrupt(&self, session: u32, key: Option<i32>, interrupt: Interrupt) -> bool {
        let mut entries = self.entries();
        let target = entries.sessions.get(&session).filter(|handle| key.is_none_or(|key| key == handle.key));
        match (target, interrupt) {
            // The permit is kept until the session checks it, so that a session that is just
            // starting ends too.
            (Some(handle), Interrupt::Session) => handle.terminated.notify_one(),
            // No permit is kept: between two statements there is nothing to cancel.
            (Some(handle), Interrupt::Statement) => handle.cancelled.notify_waiters(),
            (None, _) => {}
        }
        let matched = target.is_some();
        entries.cancels.push(Cancel { session, matched, ends_session: interrupt == Interrupt::Session });
        matched
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellable {
    /// Waits for a request to cancel. An earlier one, with no statement running, is lost as on a
    /// real server.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }

    /// Waits for a request to end the session, for a task that does not hold it.
    pub(crate) fn terminated(&self) -> impl Future<Output = ()> + use<> {
        let terminated = self.terminated.clone();
        async move { terminated.notified().await }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.journal.entries().sessions.remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{MOST_ENTRIES, MOST_TEXT};

    #[test]
    fn only_the_last_statements_are_kept_and_long_ones_are_cut() {
        let journal = Journal::default();
        for number in 0..=MOST_ENTRIES {
            journal.query(&number.to_string());
        }
        journal.query(&"ü".repeat(MOST_TEXT));

        let queries = journal.queries();
        assert_eq!((queries.len(), &*queries[0]), (MOST_ENTRIES, "2"));
        assert_eq!(queries[MOST_ENTRIES - 1].len(), MOST_TEXT);
    }

    #[test]
    fn cancel_matches_only_a_living_session_with_its_key() {
        let journal = Arc::new(Journal::default());
        let session = journal.open(7);
        let id = session.session;
        let cancel = |key| journal.interrupt(id, key, Interrupt::Statement);
        assert!(cancel(Some(7)) && cancel(None) && !cancel(Some(8)));
        drop(session);
        assert!(!cancel(Some(7)));
        let matched = journal.cancels().iter().map(|cancel| cancel.matched).collect::<Vec<_>>();
        assert_eq!(matched, [true, true, false, false]);
    }
}
