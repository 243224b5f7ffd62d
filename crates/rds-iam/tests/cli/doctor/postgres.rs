//! The doctor at PostgreSQL.

use rds_testkit::{Fault, PasswordMethod, PostgresServer, PostgresServerBuilder, ServerError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{RIGHT, examine, examine_by};
use crate::dns_server::DnsServer;
use crate::support::{HOST, USER, program, program_with};

#[path = "cases.rs"]
mod cases;

use cases::{PROXY, no_token_was_sent, start};

const ENGINE: &str = "postgres";

type Builder = PostgresServerBuilder;
type Server = PostgresServer;

fn builder() -> Builder {
    PostgresServer::builder()
}

fn url(server: &Server, more: &str) -> String {
    url_of(server.host(), server, more)
}

fn url_of(host: &str, server: &Server, more: &str) -> String {
    let (port, roots) = (server.port(), server.ca_file().display());
    format!("postgres://{USER}@{host}:{port}/app?plugins=iam&sslrootcert={roots}{more}")
}

#[tokio::test]
async fn grant_missing() {
    for method in [PasswordMethod::Cleartext, PasswordMethod::Md5, PasswordMethod::ScramSha256] {
        let server = start(|builder| builder.password_user("bob", "geheim").password_method(method)).await;
        let url = url(&server, "").replace("jane@", "bob@");

        let report = examine(program_with(server.access_key()), &url, RIGHT).await;

        report.first_cause_is(16, "grant-missing");
        assert!(report.json.to_string().contains("GRANT rds_iam TO \\\"bob\\\""), "{:#}", report.json);
    }
}

#[tokio::test]
async fn database_missing() {
    let server = start(|builder| builder.database("other")).await;

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "no-access-rule");
}

#[tokio::test]
async fn server_throttles() {
    let server = start(|builder| builder).await;
    server.inject_always(Fault::Refuse(ServerError::new("53300", "sorry, too many clients already")));

    let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

    report.first_cause_is(16, "throttled");
}

macro_rules! refusal {
    ($name:ident, $code:expr, $text:expr, $cause:expr, $says:expr) => {
        #[tokio::test]
        async fn $name() {
            let server = start(|builder| builder).await;
            server.inject_always(Fault::Refuse(ServerError::new($code, $text)));

            let report = examine(program_with(server.access_key()), &url(&server, ""), RIGHT).await;

            report.first_cause_is(16, $cause);
            report.says("login", "failed", $says);
            assert_eq!(report.causes().len(), 1);
        }
    };
}

refusal!(
    login_forbidden,
    "28000",
    "role \"jane\" is not permitted to log in",
    "login-forbidden",
    r#"ALTER ROLE \"jane\" LOGIN"#
);
refusal!(
    database_forbidden,
    "42501",
    "permission denied for database \"app\"",
    "database-forbidden",
    r#"GRANT CONNECT ON DATABASE \"app\" TO \"jane\""#
);
refusal!(
    proxy_without_credentials,
    "28000",
    "This RDS proxy has no credentials for the role jane.",
    "proxy-secret",
    "authentication settings"
);

refusal!(server_starting, "57P03", "the database system is not accepting connections", "not-ready", "57P03");
refusal!(
    proxy_without_iam,
    "28000",
    "This RDS Proxy supports only IAM, MD5, or SCRAM authentication",
    "proxy-authentication",
    "28000"
);

#[tokio::test]
async fn dsql_signature_expired() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";
    let server = start(|builder| builder.host(host)).await;
    server.inject_always(Fault::Refuse(ServerError::dsql_expired()));
    let dns = DnsServer::start(&[(host, "127.0.0.1")]).await;

    let report = examine_by(&dns, program_with(server.access_key()), &url_of(host, &server, ""), RIGHT).await;

    report.first_cause_is(16, "signature-expired");
}

#[tokio::test]
async fn dsql_admin_needs_its_own_action() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";
    let server = start(|builder| builder.host(host)).await;
    server.inject_always(Fault::Refuse(ServerError::dsql_refused()));
    let dns = DnsServer::start(&[(host, "127.0.0.1")]).await;
    let url = url_of(host, &server, "").replace("jane@", "admin@");

    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(16, "policy");
    assert!(report.json.to_string().contains("dsql:DbConnectAdmin on"), "{:#}", report.json);
}

#[tokio::test]
async fn refusal_and_throttling_of_rds_proxy_are_distinguished() {
    for (answer, causes) in [
        (ServerError::proxy_refused(USER), &["policy", "proxy-role"][..]),
        (ServerError::proxy_throttled(USER), &["throttled"]),
    ] {
        let server = start(|builder| builder.host(PROXY)).await;
        server.inject_always(Fault::Refuse(answer));
        let dns = DnsServer::start(&[(PROXY, "127.0.0.1")]).await;

        let url = url_of(PROXY, &server, "");
        let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

        report.first_cause_is(16, causes[0]);
        assert!(report.causes().starts_with(causes), "{:#}", report.json);
    }
}

#[tokio::test]
async fn dsql_refusal_names_the_dsql_grant_and_action() {
    let host = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";
    let server = start(|builder| builder.host(host)).await;
    server.inject_always(Fault::Refuse(ServerError::dsql_refused()));
    let url = url_of(host, &server, "");

    let dns = DnsServer::start(&[(host, "127.0.0.1")]).await;

    let report = examine_by(&dns, program_with(server.access_key()), &url, RIGHT).await;

    assert_eq!(report.causes()[..2], ["grant-missing", "policy"], "{:#}", report.json);
    let text = report.json.to_string();
    assert!(text.contains("AWS IAM GRANT") && text.contains("dsql:DbConnect on"), "{text}");
    assert!(!text.contains("rds_iam") && !text.contains("rds-db"), "{text}");
}

#[tokio::test]
async fn custom_domain_without_its_endpoint_is_read_from_the_certificate() {
    let server = start(|builder| builder).await;
    let url = url_of("localhost", &server, "&hostaddr=127.0.0.1");

    let report = examine(program_with(server.access_key()), &url, RIGHT).await;

    report.first_cause_is(11, "host-name");
    report.says("tls", "failed", &format!("try iamHost={}", server.host()));
    no_token_was_sent(&server);
}

#[tokio::test]
#[cfg(feature = "mysql")]
async fn port_of_another_engine() {
    let server = rds_testkit::MysqlServer::builder().start().await.expect("starts");
    let url = format!("postgres://jane@{}:{}/app?plugins=iam", server.host(), server.port());

    let report = examine(program(), &url, RIGHT).await;

    report.says("tls", "failed", "a MySQL or MariaDB server answered `8.");
    report.says("tls", "failed", "not to PostgreSQL: check port and scheme");
}

#[tokio::test]
async fn refusal_by_another_engine() {
    // The second has 69 bytes, which is an E, as PostgreSQL's errors begin.
    for words in [
        &b"\x46\0\0\0\xff\x6a\x04Host '10.1.22.133' is not allowed to connect to this MariaDB server"[..],
        &b"\x45\0\0\0\xff\x6a\x04Host '10.1.22.13' is not allowed to connect to this MariaDB server"[..],
    ] {
        let port = server_that_answers(words).await;

        let report = examine(program(), &format!("postgres://jane@{HOST}:{port}/app"), RIGHT).await;

        report.says("tls", "failed", "a MySQL or MariaDB server answered `Host '10.1.");
        report.says("tls", "failed", "not to PostgreSQL: check port and scheme");
    }
}

/// A server that reads once, says something, and waits.
async fn server_that_answers(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("is bound").port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8]).await;
            let _ = stream.write_all(words).await;
            kept.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn port_of_another_service() {
    for (words, kind) in [
        (&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], "an SSH server"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "an HTTP server"),
        (b"220 mail.example ESMTP\r\n", "a mail or FTP server"),
        (b"Sorry", "another service"),
    ] {
        let port = server_that_answers(words).await;
        let key = crate::support::session_key();

        let report = examine(program_with(&key), &format!("postgres://jane@{HOST}:{port}/app"), RIGHT).await;

        report.first_cause_is(15, "other-service");
        report.says("tls", "failed", "not to PostgreSQL: check port and scheme");
        report.says("tls", "failed", kind);
    }
}

#[tokio::test]
async fn refusal_in_place_of_an_answer() {
    for (words, cause) in [
        (&b"E\0\0\0\x3cSFATAL\0C53300\0Msorry, too many clients already\0\0"[..], "throttled"),
        (b"E\0\0\0\x3cSFATAL\0C57P03\0Mthe database system is starting up\0\0", "not-ready"),
        (b"E\0\0\0\x3cSFATAL\0C0A000\0Munsupported frontend protocol 1234.5679\0\0", "tls-not-offered"),
    ] {
        let port = server_that_answers(words).await;
        let key = crate::support::session_key();

        let report = examine(program_with(&key), &format!("postgres://jane@{HOST}:{port}/app"), RIGHT).await;

        report.first_cause_is(15, cause);
    }
}

#[tokio::test]
async fn port_default() {
    let nowhere = DnsServer::start(&[]).await;

    let report = examine_by(&nowhere, program(), &format!("postgres://jane@{HOST}/app"), RIGHT).await;

    report.says("host", "ok", ":5432");
}
