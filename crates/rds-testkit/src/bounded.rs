//! A list that keeps its last entries.

use std::collections::VecDeque;

/// The maximum number of entries; the oldest are dropped first.
pub(crate) const MOST_ENTRIES: usize = 10_000;

/// The maximum length of a client's text, in bytes.
pub(crate) const MOST_TEXT: usize = 4_096;

/// The last [`MOST_ENTRIES`] entries.
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
    // As `str::floor_char_boundary`, which Rust has since 1.91.
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
