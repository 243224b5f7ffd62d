//! One maker at a time for each key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use crate::stats::Counter;

/// One lock for each key whose value is being made, by the hash of the key.
///
/// It guards nothing: a caller that panics leaves nothing half done, so poison means nothing.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<u64, Arc<Mutex<()>>>>);

/// A place in the line of one key.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    hash: u64,
    line: Arc<Mutex<()>>,
}

impl Turns {
    pub(super) fn join(&self, hash: u64) -> Turn<'_> {
        let line = Arc::clone(self.lines().entry(hash).or_default());
        Turn { turns: self, hash, line }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Waits until nobody else makes a value for the key.
    pub(super) fn wait(&self, waits: &Counter) -> MutexGuard<'_, ()> {
        match self.line.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                waits.one();
                self.line.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        // The map's and this one: nobody else is in the line, and nobody joins while the map is
        // locked.
        if Arc::strong_count(&self.line) == 2 {
            lines.remove(&self.hash);
        }
    }
}
