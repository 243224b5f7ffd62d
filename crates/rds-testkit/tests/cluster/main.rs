//! Clusters seen through tokio-postgres and mysql_async.

#![expect(clippy::unwrap_used, reason = "the fixtures stand outside of the test functions")]

mod client;
mod failover;
mod kill;
mod mysql;
mod names;
#[expect(dead_code, reason = "shared with the tests of the PostgreSQL server")]
#[path = "../postgres/signer.rs"]
mod signer;
mod topology;
