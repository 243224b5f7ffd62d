//! MySQL and MariaDB clients.

mod client;
mod finishing;
mod greeting;
mod login;
mod one_lookup;
mod packet;
mod proof;
mod query;
mod serve;
mod upstream;

use crate::EngineTarget;

pub(crate) use finishing::FinishingPlaces;
pub use upstream::Session;

/// A MySQL or MariaDB server that clients are logged in at; URLs begin with `mysql://`.
pub type MysqlTarget = EngineTarget<Session>;
