//! The facts about the connections of a deadpool, whose own client has no room for them.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use deadpool_postgres::{ClientWrapper, StatementCache};
use wrapper_core::Established;

thread_local! {
    /// The facts about the connection that the connect which ends in this poll has opened.
    static JUST_OPENED: Cell<Option<Established>> = const { Cell::new(None) };
}

/// Hands the facts about a connection to the pool's hook for new ones; called last in a connect.
///
/// The pool calls the first hook in the same poll in which its connect ends, without an await in
/// between, so that no other connect of this thread gets in between. The hook alone has the client
/// of deadpool, and the connect alone the facts.
pub(super) fn hand_over(established: Established) {
    JUST_OPENED.set(Some(established));
}

/// Remembers how the connections of one pool were opened; clones share what they know.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<Mutex<HashMap<usize, Entry>>>);

#[derive(Debug)]
struct Entry {
    /// Keeps the address of the cache, which is the connection's own, from being used again.
    cache: Weak<StatementCache>,
    established: Established,
}

impl Opened {
    /// Remembers a connection that was just opened, and forgets those that are gone.
    pub(super) fn note(&self, client: &ClientWrapper) {
        let Some(established) = JUST_OPENED.take() else { return };
        let cache = Arc::downgrade(&client.statement_cache);
        let mut known = self.lock();
        known.retain(|_, entry| entry.cache.strong_count() > 0);
        known.insert(key(client), Entry { cache, established });
    }

    /// Returns what is known of a connection.
    pub(super) fn of(&self, client: &ClientWrapper) -> Option<Established> {
        self.lock().get(&key(client)).map(|entry| entry.established.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Entry>> {
        // Whole entries: no panic can leave one half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the client's statement cache, which it alone has for as long as it lives.
fn key(client: &ClientWrapper) -> usize {
    Arc::as_ptr(&client.statement_cache).addr()
}
