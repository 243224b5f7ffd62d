#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod clock;
mod expiring;
mod fetch_error;
mod lease;
#[cfg(feature = "test-util")]
mod manual_clock;
mod renewing;
mod stats;
mod sync;
#[cfg(feature = "tokio")]
mod system_clock;

pub use crate::{
    cache::{Cache, Epoch},
    clock::{BoxFuture, Clock},
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Lease,
    renewing::{Renewal, Renewing, Served},
    stats::{CacheStats, RenewingStats},
};

#[cfg(feature = "test-util")]
pub use crate::manual_clock::ManualClock;
#[cfg(feature = "tokio")]
pub use crate::system_clock::SystemClock;
