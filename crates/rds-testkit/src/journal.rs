//! What clients sent after their logins: statements and cancels, within bounds.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many statements and cancels are kept; the oldest go first.
const MOST_ENTRIES: usize = 10_000;

/// How much of a statement is kept, in bytes.
const MOST_TEXT: usize = 4_096;

/// A request to cancel what another session runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cancel {
    /// The session's process id (PostgreSQL) or thread id (MySQL), as the request named it.
    pub session: u32,
    /// Whether there was such a session and the request held its key.
    pub matched: bool,
}

/// The statements and cancels of one server, and the sessions that can be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    last_session: AtomicU32,
}

#[derive(Debug, Default)]
struct Entries {
    queries: VecDeque<String>,
    cancels: VecDeque<Cancel>,
    sessions: HashMap<u32, (i32, Arc<Notify>)>,
}

/// A session that can be cancelled for as long as this lives.
#[derive(Debug)]
pub(crate) struct Cancellable {
    journal: Arc<Journal>,
    pub(crate) session: u32,
    cancelled: Arc<Notify>,
}

impl Journal {
    pub(crate) fn query(&self, sql: &str) {
        let sql = &sql[..sql.floor_char_boundary(MOST_TEXT)];
        push(&mut self.entries().queries, sql.to_owned());
    }

    pub(crate) fn queries(&self) -> Vec<String> {
        self.entries().queries.iter().cloned().collect()
    }

    pub(crate) fn cancels(&self) -> Vec<Cancel> {
        self.entries().cancels.iter().copied().collect()
    }

    /// Numbers a new session; `key` must come with a request to cancel it.
    pub(crate) fn open(self: &Arc<Self>, key: i32) -> Cancellable {
        let session = self.last_session.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & 0x7fff_ffff;
        self.adopt(session, key)
    }

    /// Takes in a session that another server numbered.
    pub(crate) fn adopt(self: &Arc<Self>, session: u32, key: i32) -> Cancellable {
        let cancelled = Arc::new(Notify::new());
        self.entries().sessions.insert(session, (key, cancelled.clone()));
        Cancellable { journal: self.clone(), session, cancelled }
    }

    /// Records a request to cancel and carries it out; MySQL's have no key.
    pub(crate) fn cancel(&self, session: u32, key: Option<i32>) -> bool {
        let mut entries = self.entries();
        let target = entries.sessions.get(&session).filter(|(own, _)| key.is_none_or(|key| key == *own));
        let matched = target.is_some();
        if let Some((_, cancelled)) = target {
            cancelled.notify_waiters();
        }
        push(&mut entries.cancels, Cancel { session, matched });
        matched
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellable {
    /// Waits for a request to cancel; one that came before, with nothing running, is lost as on a real server.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.journal.entries().sessions.remove(&self.session);
    }
}

fn push<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() == MOST_ENTRIES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(journal.cancel(id, Some(7)) && journal.cancel(id, None) && !journal.cancel(id, Some(8)));
        drop(session);
        assert!(!journal.cancel(id, Some(7)));
        let matched = journal.cancels().iter().map(|cancel| cancel.matched).collect::<Vec<_>>();
        assert_eq!(matched, [true, true, false, false]);
    }
}
