//! The differences between the drivers.

use sqlx::{Connection, Database};

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;

/// A driver's connect options.
pub(crate) type DriverOptions<D> = <<D as Database>::Connection as Connection>::Options;

/// A driver with pools that are kept fresh: `sqlx::Postgres` or `sqlx::MySql`, by feature.
pub trait Engine: sealed::Driver {}

impl<D: sealed::Driver> Engine for D {}

pub(crate) mod sealed {
    use sqlx::Database;
    use wrapper_adapter::ClientCertificate;
    use wrapper_core::{BoxFuture, ConnectRequest, Result, adapter::Rows};

    use super::DriverOptions;

    /// The part of an engine that only this crate calls and writes.
    pub trait Driver: Database<Connection: 'static> {
        /// The engine of the servers, as plugins know it.
        const ENGINE: wrapper_core::Engine;

        /// The URL schemes, the usual one first.
        const SCHEMES: &'static [&'static str];

        /// The names in a URL's query that sqlx understands, without those of the target and of
        /// TLS.
        const NAMES: &'static [&'static str];

        /// Whether names of the form `options[…]` are understood too.
        const TAKES_OPTIONS: bool;

        /// The start of a query that overrides values of the environment.
        const RESET: &'static str;

        /// Sets everything but the password, on top of the configured driver options.
        fn template(
            options: DriverOptions<Self>,
            server: &ConnectRequest,
            roots: Vec<u8>,
            certificate: Option<&ClientCertificate>,
        ) -> Result<DriverOptions<Self>>;

        /// Sets the password.
        fn with_password(options: DriverOptions<Self>, password: &str) -> DriverOptions<Self>;

        /// Sets user and password of a managed secret, which need no cleartext authentication.
        fn with_user(options: DriverOptions<Self>, user: &str, password: &str) -> DriverOptions<Self>;

        /// Sets another host.
        fn at(options: DriverOptions<Self>, host: &str, port: u16) -> DriverOptions<Self>;

        /// Runs one statement of a plugin.
        fn query<'a>(connection: &'a mut Self::Connection, sql: &'a str) -> BoxFuture<'a, Result<Rows>>;
    }
}

/// Returns an error for a unix socket that the program's own options name.
fn socket() -> wrapper_core::Error {
    wrapper_core::Error::new(
        wrapper_core::ErrorKind::Configuration,
        "the connect options name a unix socket, which has no TLS, and so no login by token: leave it out",
    )
}
