//! Tokens against independent signers, an independent verifier and any input.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a failing step fails its test")]

mod errors;
mod life;
mod properties;
mod secrets;
mod support;
mod vectors;
