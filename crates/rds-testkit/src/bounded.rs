//! A list that keeps its last entries.

use std::collections::VecDeque;

/// How many entries are kept; the oldest go first.
pub(crate) const MOST_ENTRIES: usize = 10_000;

/// How much of a text that came from a client is kept, in bytes.
pub(crate) const MOST_TEXT: usize = 4_096;

/// The last [`MOST_ENTRIES`] of what was pushed.
#[derive(Debug)]
pub(crate) struct Bounded<T>(VecDeque<T>);

impl<T> Bounded<T> {
    pub(crate) fn push(&mut self, entry: T) {
        if self.0.len() == MOST_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }
}

impl<T: Clone> Bounded<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

/// Cuts a text to [`MOST_TEXT`], never inside of a character.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}
