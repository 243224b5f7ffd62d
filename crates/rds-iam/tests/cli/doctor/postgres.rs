//! The doctor at PostgreSQL.

use rds_testkit::{Fault, PasswordMethod, PostgresServer, PostgresServerBuilder, ServerError};

use super::{RIGHT, examine, examine_by};
use crate::dns_server::DnsServer;
use crate::support::{HOST, USER, program, program_with};

#[path = "cases.rs"]
mod cases;

use cases::{no_token_was_sent, start};

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

#[tokio::test]
async fn dsql_has_words_of_its_own() {
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

    report.says("tls", "failed", "something else than PostgreSQL listens");
}

#[tokio::test]
async fn port_default() {
    let nowhere = DnsServer::start(&[]).await;

    let report = examine_by(&nowhere, program(), &format!("postgres://jane@{HOST}/app"), RIGHT).await;

    report.says("host", "ok", ":5432");
}
