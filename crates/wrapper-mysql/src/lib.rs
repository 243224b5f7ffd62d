#![cfg_attr(any(not(doctest), feature = "deadpool"), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod config_source;
mod connector;
mod driver;
mod driver_config;
mod error;
mod opening;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
mod pool;
mod session;
mod slow_server;
mod suspicion;
mod tls;

/// The driver, so that its types are of the version that a connector gives.
pub use mysql_async;
pub use wrapper_core::{Error, ErrorKind, Registry};

pub use builder::ConnectorBuilder;
pub use connector::Connector;
pub use driver::MysqlDriver;
pub use driver_config::DriverConfig;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
pub use pool::{MysqlManager, Recycling};
pub use session::session;

/// The types of a bb8 pool of these connections, so that none has to be spelled out.
#[cfg(feature = "bb8")]
pub mod bb8 {
    pub use crate::pool::bb8::{Pool, PooledConnection};
}

/// The types of a deadpool of these connections, so that none has to be spelled out.
#[cfg(feature = "deadpool")]
pub mod deadpool {
    pub use crate::pool::deadpool::{Object, Pool, PoolBuilder, PoolError};
}
