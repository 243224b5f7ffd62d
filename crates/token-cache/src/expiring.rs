//! What a source of values returns.

use std::{fmt, time::SystemTime};

/// A value with the moment from which and the moment until which it holds.
///
/// `Debug` prints the times and never the value, which may be a secret.
pub struct Expiring<V> {
    pub(crate) value: V,
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: SystemTime,
}

impl<V> Expiring<V> {
    /// Creates a value that was issued at one moment and holds until just before another.
    ///
    /// A value that expires before it is issued has a life of zero.
    pub fn new(value: V, issued_at: SystemTime, expires_at: SystemTime) -> Self {
        Self { value, issued_at, expires_at }
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Takes the value out.
    pub fn into_value(self) -> V {
        self.value
    }

    /// Returns the moment at which the value was issued.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Returns the first moment at which the value no longer holds.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl<V> fmt::Debug for Expiring<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiring")
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
