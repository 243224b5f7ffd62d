//! What the cache hands out.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use crate::{context::Context, expiring::Expiring, time::span};

/// A value that the cache has handed out, with its identity.
///
/// Clones are cheap and share the value. `Debug` prints the times and never the value, which may be a secret.
pub struct Lease<V> {
    generation: Arc<Generation<V>>,
    fresh: bool,
}

/// One value that the cache has held, whoever looks at it.
pub(crate) struct Generation<V> {
    value: V,
    issued_at: SystemTime,
    expires_at: SystemTime,
    /// The bounds that a hit compares with, worked out once; none where the clock cannot express it.
    not_before: Option<SystemTime>,
    usable_until: Option<SystemTime>,
    renew_at: Option<SystemTime>,
    id: u64,
    accepted_at: Mutex<Option<SystemTime>>,
    home: Weak<dyn Home>,
}

/// The place that may still hold a generation.
pub(crate) trait Home: Send + Sync {
    /// Drops the value if it is still that of generation `id`.
    fn reject(&self, id: u64) -> bool;
}

impl<V> Lease<V> {
    /// A lease on a value that was in the cache before the call.
    pub(crate) fn cached(generation: Arc<Generation<V>>) -> Self {
        Self { generation, fresh: false }
    }

    /// A lease on a value that was made while the call ran.
    pub(crate) fn fresh(generation: Arc<Generation<V>>) -> Self {
        Self { generation, fresh: true }
    }

    /// Returns the value.
    pub fn value(&self) -> &V {
        &self.generation.value
    }

    /// Returns the moment at which the value was issued.
    pub fn issued_at(&self) -> SystemTime {
        self.generation.issued_at
    }

    /// Returns the first moment at which the value no longer holds.
    pub fn expires_at(&self) -> SystemTime {
        self.generation.expires_at
    }

    /// Returns the identity of the value, which no other value of the same cache has.
    ///
    /// Two values issued in the same second may be equal in every byte and still are two generations.
    pub fn generation(&self) -> u64 {
        self.generation.id
    }

    /// Returns whether the value was made while the call that returned this lease ran, by it or by one that it
    /// waited for.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Drops the value from the cache if the cache still holds this very generation, and returns whether it did.
    ///
    /// When many callers are refused with the same value, the first rejection counts and the others change nothing,
    /// least of all the value that has replaced it.
    pub fn reject(&self) -> bool {
        self.generation.home.upgrade().is_some_and(|home| home.reject(self.generation.id))
    }

    /// Notes that a server accepted the value at `now`; every lease of this generation sees it.
    pub fn accepted(&self, now: SystemTime) {
        *self.generation.accepted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Returns when a server last accepted the value, by whichever lease.
    pub fn last_accepted(&self) -> Option<SystemTime> {
        *self.generation.accepted_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Clone for Lease<V> {
    fn clone(&self) -> Self {
        Self { generation: Arc::clone(&self.generation), fresh: self.fresh }
    }
}

impl<V> fmt::Debug for Lease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("generation", &self.generation.id)
            .field("issued_at", &self.generation.issued_at)
            .field("expires_at", &self.generation.expires_at)
            .field("last_accepted", &self.last_accepted())
            .field("is_fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}

impl<V> Generation<V> {
    pub(crate) fn new(made: Expiring<V>, home: Weak<dyn Home>, context: &Context) -> Self {
        let id = context.next_id();
        let margin = context.limits.margin;
        let lead = context.lead(id, span(made.issued_at, made.expires_at));
        Self {
            value: made.value,
            issued_at: made.issued_at,
            expires_at: made.expires_at,
            // A value from the future was issued by a clock that has since been set back. One second is let pass,
            // because issuers cut their times to whole seconds.
            not_before: made.issued_at.checked_sub(Duration::from_secs(1)),
            usable_until: made.expires_at.checked_sub(margin),
            renew_at: made.expires_at.checked_sub(lead.max(margin)),
            id,
            accepted_at: Mutex::new(None),
            home,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Whether nothing is to be done about a value that is fetched.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        self.renew_at.is_some_and(|renew_at| now < renew_at)
    }

    /// Whether it is further from its expiry than the margin.
    pub(crate) fn is_outside_margin(&self, now: SystemTime) -> bool {
        self.usable_until.is_some_and(|until| now < until)
    }

    /// Whether a reader who bounds the age of what it takes may use the value.
    pub(crate) fn is_usable(&self, now: SystemTime, max_age: Duration) -> bool {
        self.is_outside_margin(now)
            && self.not_before.is_none_or(|not_before| not_before <= now)
            // Cheaper than the age itself, and a hit is mostly such arithmetic.
            && self.issued_at.checked_add(max_age).is_none_or(|too_old_at| now < too_old_at)
            // Nothing is younger than that, not even a value from within the second let pass.
            && !max_age.is_zero()
    }
}
