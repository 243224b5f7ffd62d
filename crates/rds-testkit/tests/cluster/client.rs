//! Clients that find a cluster's nodes by its DNS and trust its authority.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use rds_testkit::Cluster;
use tokio_postgres::{Client, Connection, SimpleQueryMessage};

use crate::signer::Signer;

/// Signs a token for one of the cluster's names.
pub(crate) fn token(cluster: &Cluster, host: &str, port: u16) -> String {
    let key = cluster.access_key();
    Signer {
        host: host.to_owned(),
        port,
        region: cluster.region().to_owned(),
        service: "rds-db".to_owned(),
        user: cluster.user().to_owned(),
        access_key_id: key.access_key_id().to_owned(),
        secret: key.secret_access_key().to_owned(),
        session_token: None,
        at: cluster.token_policy().now(),
        expires: 900,
    }
    .sign()
}

/// The driver's two halves, before anybody polls the connection.
pub(crate) type Halves =
    (Client, Connection<tokio_postgres::Socket, postgres_native_tls::TlsStream<tokio_postgres::Socket>>);

pub(crate) async fn open(cluster: &Cluster, host: &str) -> Result<Halves, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(host)
        .hostaddr(cluster.dns().resolve(host).unwrap()[0])
        .port(cluster.port())
        .user(cluster.user())
        .password(token(cluster, host, cluster.port()))
        .dbname("app")
        .ssl_mode(tokio_postgres::config::SslMode::Require);
    let ca = Certificate::from_pem(cluster.ca().pem().as_bytes()).unwrap();
    let tls = TlsConnector::builder().disable_built_in_roots(true).add_root_certificate(ca).build().unwrap();
    config.connect(MakeTlsConnector::new(tls)).await
}

pub(crate) async fn connect(cluster: &Cluster, host: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = open(cluster, host).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Returns the name of a node's instance.
pub(crate) fn instance(cluster: &Cluster, id: &str) -> String {
    cluster.node(id).host().to_owned()
}

/// Returns the rows of a simple query, as text.
pub(crate) async fn ask(client: &Client, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// Returns the SQLSTATE of an error by the server; other errors give their text.
pub(crate) fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

pub(crate) async fn connect_mysql(cluster: &Cluster, host: &str) -> Result<Conn, mysql_async::Error> {
    let roots = vec![cluster.ca().pem().as_bytes().to_vec().into()];
    let ssl = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .resolved_ips(cluster.dns().resolve(host).ok())
        .tcp_port(cluster.port())
        .user(Some(cluster.user()))
        .pass(Some(token(cluster, host, cluster.port())))
        .prefer_socket(false)
        .enable_cleartext_plugin(true)
        .ssl_opts(ssl);
    Conn::new(Opts::from(options)).await
}

/// Returns the first value of the first row, as text.
pub(crate) async fn first(connection: &mut Conn, sql: &str) -> Result<Option<String>, mysql_async::Error> {
    connection.query_first(sql).await
}
