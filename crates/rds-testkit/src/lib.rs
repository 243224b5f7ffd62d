#![doc = include_str!("../README.md")]

mod access_key;
mod authority;
mod ca_file;
mod clock;
mod error;
mod fault;
mod gate;
mod hash;
mod mysql;
mod postgres;
mod random;
mod record;
mod refusal;
mod server;
mod server_error;
mod tls;

pub use access_key::AccessKey;
pub use authority::Authority;
pub use error::{Error, ErrorKind, Result};
pub use fault::{Fault, PasswordMethod, Phase};
pub use gate::Gate;
pub use mysql::{AuthPlugin, MysqlServer, MysqlServerBuilder, Trick};
pub use postgres::{PostgresServer, PostgresServerBuilder};
pub use record::{Attempt, Outcome, PasswordDigest};
pub use refusal::Refusal;
pub use server_error::ServerError;
pub use tls::Ca;
