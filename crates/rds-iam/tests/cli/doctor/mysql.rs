//! The doctor at MySQL.

use rds_testkit::{AuthPlugin, Fault, MysqlServer, MysqlServerBuilder, ServerError};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::{RIGHT, examine, examine_by};
use crate::dns_server::DnsServer;
use crate::support::{HOST, USER, program, program_with};

#[path = "cases.rs"]
mod cases;

use cases::{no_token_was_sent, start};

const ENGINE: &str = "mysql";

type Builder = MysqlServerBuilder;
type Server = MysqlServer;

fn builder() -> Builder {
    MysqlServer::builder()
}

fn url(server: &Server, more: &str) -> String {
    url_of(server.host(), server, more)
}

fn url_of(host: &str, server: &Server, more: &str) -> String {
    let (port, roots) = (server.port(), server.ca_file().display());
    format!("mysql://{USER}@{host}:{port}/app?plugins=iam&sslrootcert={roots}{more}")
}

#[tokio::test]
async fn plugin_missing() {
    for plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
        let server = start(|builder| builder.password_user("bob", "geheim").plugin(plugin)).await;
        let url = url(&server, "").replace("jane@", "bob@");

        let report = examine(program_with(server.access_key()), &url, RIGHT).await;

        report.first_cause_is(16, "grant-missing");
        let text = report.json.to_string();
        assert!(
            text.contains("ALTER USER 'bob'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"),
            "{text}"
        );
        no_token_was_sent(&server);
    }
}

#[tokio::test]
async fn refusal_is_explained_even_if_the_probe_cannot_connect() {
    let server = start(|builder| builder).await;
    server.token_policy().deny(server.access_key().access_key_id(), USER);
    // The handshakes of the doctor and of the driver are spared.
    server.inject_times(2, Fault::CertificateFor(HOST.to_owned()));
    server.inject_always(Fault::CertificateFor("other.example".to_owned()));

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    assert_eq!(report.causes()[..2], ["grant-missing", "policy"], "{:#}", report.json);
}

#[tokio::test]
async fn database_missing() {
    let server = start(|builder| builder.database("other")).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "no-database");
}

#[tokio::test]
async fn server_throttles() {
    for answer in [ServerError::proxy_rate_limited(), ServerError::too_many_mysql_connections()] {
        let server = start(|builder| builder).await;
        server.inject_always(Fault::Refuse(answer));

        let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

        report.first_cause_is(16, "throttled");
    }
}

macro_rules! refusal {
    ($name:ident, $number:expr, $text:expr, $cause:expr) => {
        #[tokio::test]
        async fn $name() {
            let server = start(|builder| builder).await;
            server.inject_always(Fault::Refuse(ServerError::new($number, $text)));

            let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

            report.first_cause_is(16, $cause);
            assert_eq!(report.causes().len(), 1);
        }
    };
}

refusal!(account_locked, "3118", "Access denied for user 'jane'@'%'. Account is locked.", "account-locked");
refusal!(
    database_forbidden,
    "1044",
    "Access denied for user 'jane'@'%' to database 'app'",
    "database-forbidden"
);
refusal!(proxy_without_database, "9501", "Timed-out waiting to acquire database connection", "not-ready");
refusal!(plugin_not_loaded, "1524", "Plugin 'AWSAuthenticationPlugin' is not loaded", "login-plugin-missing");
refusal!(shutdown, "1053", "Server shutdown in progress", "not-ready");

/// Starts a server that sends these bytes to every client at once; returns its port.
pub(super) async fn server_that_sends(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("is bound").port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(bytes).await;
            kept.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn refusal_in_place_of_a_greeting() {
    let port = server_that_sends(b"\x17\0\0\0\xff\x10\x04Too many connections").await;
    let key = crate::support::session_key();

    let report = examine(program_with(&key), &format!("mysql://jane@{HOST}:{port}/app"), RIGHT).await;

    report.says("tls", "skipped", "the server answered 1040: Too many connections, before TLS");
    report.first_cause_is(16, "throttled");
}

#[tokio::test]
async fn denial_in_place_of_a_greeting_is_not_blamed_on_the_token() {
    let port = server_that_sends(b"\x10\0\0\0\xff\x15\x04Access denied").await;
    let key = crate::support::session_key();

    let report = examine(program_with(&key), &format!("mysql://jane@{HOST}:{port}/app"), RIGHT).await;

    report.first_cause_is(16, "refused-before-login");
    assert_eq!(report.causes().len(), 1);
}

#[tokio::test]
async fn port_of_another_service() {
    let port = server_that_sends(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;

    let report = examine(program(), &format!("mysql://jane@{HOST}:{port}/app"), RIGHT).await;

    report.first_cause_is(13, "credentials-missing");
    report.says("tls", "failed", "not to MySQL: check port and scheme");
    report.says("tls", "failed", "an SSH server");
    assert_eq!(report.step("tls")["code"], "other-service");
}

#[tokio::test]
async fn port_default() {
    let nowhere = DnsServer::start(&[]).await;

    let report = examine_by(&nowhere, program(), &format!("mysql://jane@{HOST}/app"), RIGHT).await;

    report.says("host", "ok", ":3306");
}

#[tokio::test]
async fn scheme_of_mariadb_is_corrected() {
    let report = examine(program(), &format!("mariadb://jane@{HOST}/app"), RIGHT).await;

    report.first_cause_is(10, "parameters");
    report.says("parameters", "failed", "it is `mysql://`");
}
