//! The lease: a handle to a value that was handed out.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    expiring::Expiring,
    sync::{Mutex, lock},
};

/// The expiry buffer: a value this close to its expiry is replaced if possible, so that it does not
/// expire on its way to a server.
pub(crate) const EXPIRY_BUFFER: Duration = Duration::from_secs(60);

/// The tolerance: issuers truncate to whole seconds, and the clocks of one machine differ slightly.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(1);

/// A value that was handed out, with its identity.
///
/// Clones are cheap and share the value. `Debug` prints the times and never the value, which may be
/// a secret.
pub struct Lease<V> {
    generation: Arc<Generation<V>>,
    is_fresh: bool,
}

/// One value, shared by all its leases.
///
/// Of its times only those that a hit compares are stored, since a cache holds many: issue and
/// expiry follow from them.
// In this order a hit reads one cache line, that of the reference counts.
#[repr(C)]
pub(crate) struct Generation<V> {
    /// A second before its issue.
    usable_from: SystemTime,
    /// The start of the buffer before its expiry.
    usable_until: Option<SystemTime>,
    pub(crate) id: u64,
    accepted_at: Mutex<Option<SystemTime>>,
    /// As in [`Expiring`].
    pub(crate) life: Duration,
    value: V,
}

impl<V> Lease<V> {
    /// Leases a value that was held before the call.
    pub(crate) fn cached(generation: Arc<Generation<V>>) -> Self {
        Self { generation, is_fresh: false }
    }

    /// Leases a value that was made while the call ran.
    pub(crate) fn fresh(generation: Arc<Generation<V>>) -> Self {
        Self { generation, is_fresh: true }
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.generation.value
    }

    /// Returns when the value was issued.
    pub fn issued_at(&self) -> SystemTime {
        self.generation.issued_at()
    }

    /// Returns the first moment at which the value has expired, if it expires.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.generation.expires_at()
    }

    /// Returns the identity of the value, which no other value of the same cache has.
    ///
    /// Two values issued in the same second may be equal in every byte and are still two
    /// generations.
    pub fn generation(&self) -> u64 {
        self.generation.id
    }

    /// Returns whether the value was made during the call that returned this lease, by that call or
    /// one it waited for.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Notes that a server accepted the value at `now`; every lease of this generation sees it.
    pub fn accepted(&self, now: SystemTime) {
        *lock(&self.generation.accepted_at) = Some(now);
    }

    /// Returns when a server last accepted the value, reported through any of its leases.
    pub fn last_accepted(&self) -> Option<SystemTime> {
        *lock(&self.generation.accepted_at)
    }
}

impl<V> Clone for Lease<V> {
    fn clone(&self) -> Self {
        Self { generation: Arc::clone(&self.generation), is_fresh: self.is_fresh }
    }
}

impl<V> fmt::Debug for Lease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("generation", &self.generation.id)
            .field("issued_at", &self.issued_at())
            .field("expires_at", &self.expires_at())
            .field("last_accepted", &self.last_accepted())
            .field("is_fresh", &self.is_fresh)
            .finish_non_exhaustive()
    }
}

impl<V> Generation<V> {
    pub(crate) fn new(made: Expiring<V>, id: u64) -> Self {
        let Expiring { value, issued_at, expires_at, life } = made;
        // Where the subtraction cannot be represented, at the very beginning of time, both moments
        // count as later by it: a value that expired then has expired all the same.
        let usable_from = issued_at.checked_sub(TOLERANCE).unwrap_or(issued_at);
        let usable_until = expires_at.map(|end| end.checked_sub(EXPIRY_BUFFER).unwrap_or(end));
        Self { usable_from, usable_until, id, accepted_at: Mutex::new(None), life, value }
    }

    pub(crate) fn issued_at(&self) -> SystemTime {
        self.usable_from + TOLERANCE
    }

    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        self.usable_until.map(|until| until + EXPIRY_BUFFER)
    }

    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }

    /// Returns whether it is further from its expiry than the buffer.
    pub(crate) fn is_outside_buffer(&self, now: SystemTime) -> bool {
        self.usable_until.is_none_or(|until| now < until)
    }

    /// Returns whether the value was issued after `oldest`, so that a caller with an age limit may
    /// use it.
    ///
    /// Like `usable_from`, `oldest` is a second early, by the tolerance.
    pub(crate) fn is_usable(&self, now: SystemTime, oldest: Option<SystemTime>) -> bool {
        self.is_outside_buffer(now)
            // A value from the future was issued by a clock that has since been set back.
            && self.usable_from <= now
            && oldest.is_none_or(|oldest| oldest < self.usable_from)
    }
}
