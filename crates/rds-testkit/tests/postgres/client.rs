//! A client that trusts one authority and checks the server's name.

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use rds_testkit::PostgresServer;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Error};

/// Returns the settings that every test begins with.
pub(crate) fn config(server: &PostgresServer, password: &str) -> Config {
    let mut config = Config::new();
    config
        .host(server.host())
        .hostaddr(server.addr().ip())
        .port(server.port())
        .user(server.user())
        .password(password)
        .dbname("app")
        .ssl_mode(SslMode::Require);
    config
}

pub(crate) fn tls(ca_pem: &str) -> MakeTlsConnector {
    let ca = Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    let connector =
        TlsConnector::builder().disable_built_in_roots(true).add_root_certificate(ca).build().unwrap();
    MakeTlsConnector::new(connector)
}

pub(crate) async fn connect(server: &PostgresServer, config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(tls(server.ca_pem())).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) async fn login(server: &PostgresServer, password: &str) -> Result<Client, Error> {
    connect(server, &config(server, password)).await
}

/// Returns the SQLSTATE and message of a refusal by the server.
pub(crate) fn refusal(result: Result<Client, Error>) -> (String, String) {
    let Err(error) = result else { panic!("the login was accepted") };
    let db = error.as_db_error().unwrap_or_else(|| panic!("not refused by the server: {error:?}"));
    (db.code().code().to_owned(), db.message().to_owned())
}
