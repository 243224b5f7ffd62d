//! The program as people run it, against servers that check tokens as RDS does.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

mod doctor;
#[cfg(unix)]
mod exec;
mod generate;
mod inspect;
mod support;
mod token;
