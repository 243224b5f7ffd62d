#![doc = include_str!("../README.md")]

mod builder;
mod cache;
mod clock;
mod context;
mod error;
mod expiring;
mod fetch_error;
mod lease;
#[cfg(feature = "test-util")]
mod manual_clock;
mod slot;
mod stats;
mod time;

pub use crate::{
    builder::CacheBuilder,
    cache::Cache,
    clock::{BoxFuture, Clock},
    error::{Error, ErrorKind},
    expiring::Expiring,
    fetch_error::FetchError,
    lease::Lease,
    slot::{Renewal, Slot},
    stats::Stats,
};

#[cfg(feature = "test-util")]
pub use crate::manual_clock::ManualClock;
