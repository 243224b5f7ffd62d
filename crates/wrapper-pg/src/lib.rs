#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod connector;
mod driver;
mod driver_config;
mod error;
mod keepalive;
#[cfg(any(feature = "bb8", feature = "deadpool"))]
mod pool;
mod source;
mod tls;

pub use builder::ConnectorBuilder;
pub use connector::Connector;
pub use driver::{PgConnection, PgDriver};
pub use driver_config::DriverConfig;
#[cfg(feature = "bb8")]
pub use pool::Bb8Manager;
#[cfg(feature = "deadpool")]
pub use pool::expect_writer;
pub use tls::{Handshake, Tls, TlsStack, TlsStream};
