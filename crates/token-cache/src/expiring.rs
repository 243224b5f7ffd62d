//! A value with its validity, as a source returns it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A value with the moment from which and the moment until which it holds.
///
/// `Debug` prints the times and never the value, which may be a secret.
pub struct Expiring<V> {
    pub(crate) value: V,
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: Option<SystemTime>,
    /// How long it holds; without an end, the age at which it is asked for again.
    pub(crate) life: Duration,
}

impl<V> Expiring<V> {
    /// Creates a value that was issued at one moment and holds until just before another.
    ///
    /// A value that expires before it is issued has a life of zero.
    pub fn new(value: V, issued_at: SystemTime, expires_at: SystemTime) -> Self {
        let life = expires_at.duration_since(issued_at).unwrap_or_default();
        Self { value, issued_at, expires_at: Some(expires_at), life }
    }

    /// Creates a value that never expires.
    ///
    /// [`Renewing`](crate::Renewing) asks for it again before it is `renew_after` old, and goes on
    /// serving it while its source is down.
    pub fn without_end(value: V, issued_at: SystemTime, renew_after: Duration) -> Self {
        Self { value, issued_at, expires_at: None, life: renew_after }
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Returns the moment at which the value was issued.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Returns the first moment at which the value no longer holds, if it has an end.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}

impl<V> fmt::Debug for Expiring<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiring")
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
