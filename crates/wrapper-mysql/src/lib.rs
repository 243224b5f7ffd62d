#![doc = include_str!("../README.md")]

mod builder;
mod connector;
mod driver;
mod driver_config;
mod error;
mod opening;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
mod pool;
mod source;
mod tls;

pub use builder::ConnectorBuilder;
pub use connector::Connector;
pub use driver::MysqlDriver;
pub use driver_config::DriverConfig;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
pub use pool::{MysqlManager, Recycling};
