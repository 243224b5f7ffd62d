//! Clients through the proxy, at embedded servers that check tokens.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

mod mysql;
mod postgres;
mod support;
mod topology;
