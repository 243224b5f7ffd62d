//! What users of the crate rely on.

#![expect(clippy::unwrap_used, reason = "a failed step of a helper fails the test")]

mod cache;
mod promises;
mod renewing;
mod support;
