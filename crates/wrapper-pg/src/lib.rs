#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod connector;
mod driver;
mod error;
mod login;
mod source;
mod tls;

pub use builder::ConnectorBuilder;
pub use connector::Connector;
pub use driver::{PgConnection, PgDriver};
pub use tls::{Handshake, Tls, TlsStack, TlsStream};
