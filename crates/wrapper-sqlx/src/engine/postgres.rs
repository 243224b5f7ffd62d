//! The engine PostgreSQL: its URLs, and the connect options of its pools.

use std::env;

use sqlx::{
    PgConnection, Postgres,
    postgres::{PgConnectOptions, PgSslMode},
};
use wrapper_adapter::ClientCertificate;
use wrapper_core::{BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, adapter::Rows};

use super::{sealed::Driver, socket};
use crate::session;

/// Variables of the environment that sqlx puts into its connect options and cannot take out again;
/// no pool is built while one of them is set.
const UNREMOVABLE_ENV: &[&str] = &["PGOPTIONS", "PGSSLCERT", "PGSSLKEY"];

impl Driver for Postgres {
    const ENGINE: Engine = Engine::Postgres;
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql"];
    const NAMES: &'static [&'static str] =
        &["application_name", "options", "ssl-cert", "ssl-key", "statement-cache-capacity"];
    const TAKES_OPTIONS: bool = true;
    // sqlx prefills every field from PG* variables; an empty name is the server's default.
    const RESET: &'static str = "application_name=&";

    fn template(
        options: PgConnectOptions,
        server: &ConnectRequest,
        roots: Vec<u8>,
        certificate: Option<&ClientCertificate>,
    ) -> Result<PgConnectOptions> {
        if let Some(name) = UNREMOVABLE_ENV.iter().find(|name| env::var_os(name).is_some()) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("sqlx applies `{name}` of the environment to every connection: unset it"),
            ));
        }
        if options.get_socket().is_some() {
            return Err(socket());
        }
        let options = match certificate {
            Some(own) => options.ssl_client_cert_from_pem(own.chain()).ssl_client_key_from_pem(own.key()),
            None => options,
        };
        Ok(options
            .host(server.host())
            .port(server.port())
            .username(server.user())
            // Without a name the server takes the user's:
            // https://www.postgresql.org/docs/current/protocol-message-formats.html
            .database(server.database().unwrap_or(server.user()))
            // Set after the program's own options: a token must never go to an unverified server.
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert_from_pem(roots))
    }

    fn with_password(options: PgConnectOptions, password: &str) -> PgConnectOptions {
        options.password(password)
    }

    fn at(options: PgConnectOptions, host: &str, port: u16) -> PgConnectOptions {
        options.host(host).port(port)
    }

    fn with_user(options: PgConnectOptions, user: &str, password: &str) -> PgConnectOptions {
        options.username(user).password(password)
    }

    fn query<'a>(connection: &'a mut PgConnection, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(session::rows::<Self>(connection, sql))
    }
}
