//! The server seen through tokio-postgres with native-tls.

#![expect(clippy::unwrap_used, reason = "the fixtures stand outside of the test functions")]

mod answer;
mod certificate;
mod client;
mod fault;
mod forward;
mod login;
mod query;
mod refusal;
mod rules;
mod signal;
mod signer;
