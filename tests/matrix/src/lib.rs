//! Failovers of an embedded cluster, crossed with the activity of the application.
//!
//! `cargo xtask matrix` prints one row a cell: how long writes failed beyond the server's own
//! outage, how many connections led to a wrong instance, how many logins there were in the worst
//! second, and what the application saw. `cargo xtask matrix freeze waiting` runs the cells with
//! these words in their names; the tests run some cells of each kind.

mod activity;
mod cell;
mod fault;
mod pool;
mod sqlx_pool;
mod table;
mod watch;

pub use activity::Activity;
pub use cell::{Cell, Measured, named, run_all, sample};
pub use fault::Fault;
pub use pool::{Client, Failure, Pool, Setup, Stack, WRITE};
pub use table::{HEADER, row};
pub use watch::Writers;
