//! The program as people run it, against servers that check tokens as RDS does.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]
#![cfg_attr(feature = "mysql", expect(clippy::duplicate_mod, reason = "each engine has the same cases"))]

mod dns_server;
mod doctor;
#[cfg(unix)]
mod exec;
mod generate;
mod inspect;
#[cfg(unix)]
mod proxy;
mod support;
mod token;
