//! Why a cache could not be built.

use std::fmt;

/// The reason for which [`CacheBuilder::build`](crate::CacheBuilder::build) refuses.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The kinds of [`Error`], one for each setting that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The back-off begins at zero or above its longest.
    Backoff,
    /// The capacity is zero.
    Capacity,
    /// No clock was given.
    Clock,
    /// The lead ends before it begins, or is longer than a value's life.
    RenewAhead,
    /// The time limits of a fetch contradict each other.
    Timeout,
}

impl Error {
    pub(crate) fn backoff(message: String) -> Self {
        Self { kind: ErrorKind::Backoff, message }
    }

    pub(crate) fn capacity() -> Self {
        Self { kind: ErrorKind::Capacity, message: "capacity 0 holds nothing: give at least 1".into() }
    }

    pub(crate) fn clock() -> Self {
        Self { kind: ErrorKind::Clock, message: "no clock: give one to CacheBuilder::clock".into() }
    }

    pub(crate) fn renew_ahead(message: String) -> Self {
        Self { kind: ErrorKind::RenewAhead, message }
    }

    pub(crate) fn timeout(message: String) -> Self {
        Self { kind: ErrorKind::Timeout, message }
    }

    /// Returns which setting is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
