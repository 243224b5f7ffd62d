#![doc = include_str!("../README.md")]

mod answer;
mod choice;
mod dialect;
mod factory;
mod foreign;
mod gate;
mod knowledge;
mod monitor;
mod open_connections;
mod pace;
mod parameters;
mod plugin;
mod router;
mod schedule;
mod snapshot;
mod standby_report;
mod stats;
mod task;
mod topology;
mod writer_pace;

pub use dialect::Dialect;
pub use factory::{FailoverFactory, InitialConnectionFactory};
pub use parameters::{FAILOVER_PARAMETERS, INITIAL_CONNECTION_PARAMETERS};
pub use plugin::{FailoverPlugin, InitialConnectionPlugin};
pub use snapshot::{Instance, Snapshot};
pub use stats::TopologyStats;
pub use topology::{Topology, TopologyBuilder};
pub use writer_pace::{WriterPace, takes_writes};
