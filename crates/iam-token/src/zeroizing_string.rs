//! A string that is overwritten when it is dropped.

use std::ops::Deref;

use zeroize::Zeroize;

/// A string that is overwritten when it is dropped.
///
/// Faster than `Zeroizing<String>`, which overwrites byte by byte. The spare capacity needs no
/// overwriting: the string is allocated at its full size, because growing would leave copies in
/// freed memory.
#[derive(Clone)]
pub(crate) struct ZeroizingString(String);

impl ZeroizingString {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    /// Takes the string out, which is then no longer overwritten.
    pub(crate) fn into_string(mut self) -> String {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        debug_assert!(self.0.len() + text.len() <= self.0.capacity(), "the string would move");
        self.0.push_str(text);
    }
}

impl From<String> for ZeroizingString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Deref for ZeroizingString {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for ZeroizingString {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_bytes().as_mut_slice().zeroize();
    }
}
