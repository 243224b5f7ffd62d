//! Pools of sqlx over a server of the testkit.

mod application;
mod failover;
mod pools;
