//! MySQL and MariaDB.

use sqlx::{
    MySql, MySqlConnection,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};
use wrapper_adapter::ClientCertificate;
use wrapper_core::{BoxFuture, ConnectRequest, Engine, Result, adapter::Rows};

use super::{sealed::Driver, socket};
use crate::session;

impl Driver for MySql {
    const ENGINE: Engine = Engine::Mysql;
    const SCHEMES: &'static [&'static str] = &["mysql", "mariadb"];
    const NAMES: &'static [&'static str] =
        &["charset", "collation", "ssl-cert", "ssl-key", "statement-cache-capacity", "time-zone", "timezone"];
    const TAKES_OPTIONS: bool = false;
    const RESET: &'static str = "";

    fn template(
        options: MySqlConnectOptions,
        server: &ConnectRequest,
        roots: Vec<u8>,
        certificate: Option<&ClientCertificate>,
    ) -> Result<MySqlConnectOptions> {
        if options.get_socket().is_some() {
            return Err(socket());
        }
        let options = options
            .host(server.host())
            .port(server.port())
            .username(server.user())
            // Set after the program's own options: a token must never go to an unverified server.
            .ssl_mode(MySqlSslMode::VerifyIdentity)
            .ssl_ca_from_pem(roots)
            // A token travels as it is:
            // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
            .enable_cleartext_plugin(true);
        let options = match certificate {
            Some(own) => options.ssl_client_cert_from_pem(own.chain()).ssl_client_key_from_pem(own.key()),
            None => options,
        };
        Ok(match server.database() {
            Some(database) => options.database(database),
            None => options,
        })
    }

    fn with_password(options: MySqlConnectOptions, password: &str) -> MySqlConnectOptions {
        options.password(password)
    }

    fn at(options: MySqlConnectOptions, host: &str, port: u16) -> MySqlConnectOptions {
        options.host(host).port(port)
    }

    fn with_user(options: MySqlConnectOptions, user: &str, password: &str) -> MySqlConnectOptions {
        // A secret may use any method, so the server must not get to choose cleartext.
        options.enable_cleartext_plugin(false).username(user).password(password)
    }

    fn query<'a>(connection: &'a mut MySqlConnection, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(session::rows::<Self>(connection, sql))
    }
}
