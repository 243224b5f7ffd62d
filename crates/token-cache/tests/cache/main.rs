//! What users of the cache rely on.

#![expect(clippy::unwrap_used, reason = "a failed step of a helper fails the test")]

mod bounds;
mod builder;
mod cancellation;
mod clearing;
mod contention;
mod fetching;
mod making;
mod model;
mod promises;
mod rejection;
mod renewing;
mod support;
