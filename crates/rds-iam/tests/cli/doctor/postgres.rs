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
