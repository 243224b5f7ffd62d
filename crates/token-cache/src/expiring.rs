//! A value with its validity, as a source returns it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A value with its time of issue and its expiry.
///
/// `Debug` prints the times and never the value, which may be a secret.
pub struct Expiring<V> {
    pub(crate) value: V,
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: Option<SystemTime>,
    /// Its lifetime; without an expiry, the age at which it is renewed.
    pub(crate) life: Duration,
}

impl<V> Expiring<V> {
    /// Creates a value that was issued at `issued_at` and expires at `expires_at`.
    ///
    /// A value that expires before it is issued has a lifetime of zero.
    pub fn new(value: V, issued_at: SystemTime, expires_at: SystemTime) -> Self {
        let life = expires_at.duration_since(issued_at).unwrap_or_default();
        Self { value, issued_at, expires_at: Some(expires_at), life }
    }

    /// Creates a value that never expires.
    ///
    /// [`Renewing`](crate::Renewing) renews it before it is `renew_after` old, and keeps serving it
    /// while its source is down.
    pub fn without_end(value: V, issued_at: SystemTime, renew_after: Duration) -> Self {
        Self { value, issued_at, expires_at: None, life: renew_after }
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Returns when the value was issued.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Returns the first moment at which the value has expired, if it expires.
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
