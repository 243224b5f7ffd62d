//! What all slots of a cache share.

use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{clock::Clock, stats::Counters};

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) backoff: RangeInclusive<Duration>,
    pub(crate) capacity: usize,
    pub(crate) fetch_timeout: Duration,
    pub(crate) margin: Duration,
    pub(crate) renew_ahead: RangeInclusive<u8>,
    pub(crate) stuck_after: Duration,
}

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    ids: AtomicU64,
    jitter: RandomState,
}

impl Context {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            counters: Counters::default(),
            limits,
            ids: AtomicU64::new(0),
            jitter: RandomState::new(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// An identity that no other value or attempt of this cache has.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How long before its expiry the value `id` is to be renewed, so that caches which fetched at the same moment
    /// renew at different ones.
    pub(crate) fn lead(&self, id: u64, life: Duration) -> Duration {
        let (least, most) =
            (f64::from(*self.limits.renew_ahead.start()), f64::from(*self.limits.renew_ahead.end()));
        // 32 bits are exact in an f64.
        let share = (self.jitter.hash_one(id) >> 32) as f64 / f64::from(u32::MAX);
        // At most the whole life, because the builder allows at most 100 %.
        life.mul_f64(((least + (most - least) * share) / 100.0).min(1.0))
    }

    /// How long a failed renewal keeps the next one away, after `failures` in a row.
    pub(crate) fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.limits.backoff.start().saturating_mul(1 << doublings).min(*self.limits.backoff.end())
    }
}
