//! PostgreSQL clients.

mod cancel;
mod client;
mod message;
mod query;
mod serve;
mod startup;
mod upstream;

use crate::EngineTarget;

pub use upstream::Session;

/// A PostgreSQL server that the proxy logs clients in to; URLs begin with `postgres://` or
/// `postgresql://`.
pub type PostgresTarget = EngineTarget<Session>;
