//! TLS before a password leaves, with whichever stack the features bring.

#![expect(clippy::expect_used, reason = "the helpers of tests are tests too")]

use mysql_async::prelude::Queryable;
use rds_testkit::{CertificateAuthority, Fault, MysqlServer};
use wrapper_adapter::resolver_fn;
use wrapper_core::{Error, ErrorKind, Registry};
use wrapper_mysql::{Connector, ConnectorBuilder};

async fn server() -> MysqlServer {
    MysqlServer::builder().password_user("shop", "pw").start().await.expect("starts")
}

fn builder(server: &MysqlServer) -> ConnectorBuilder {
    let address = server.addr().ip();
    Connector::builder(Registry::new())
        .connection_string(format!(
            "mysql://shop:pw@{}:{}/orders?sslmode=verify-full",
            server.host(),
            server.port()
        ))
        .resolver(resolver_fn(move |_| Ok(vec![address])))
}

async fn refused(builder: ConnectorBuilder) -> Error {
    builder.build().expect("builds").connect().await.expect_err("less than verified tls")
}

#[track_caller]
fn nothing_was_sent(server: &MysqlServer, error: &Error, says: &str) {
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(server.accepted(), 0);
    assert!(server.attempts().iter().all(|attempt| attempt.user.is_empty()), "{:?}", server.attempts());
}

#[tokio::test]
async fn certificate_ok() {
    let server = server().await;
    let connector = builder(&server).root_certificates(server.ca_pem()).parameter("sslrootcert", "system");

    let mut connection = connector.build().expect("builds").connect().await.expect("is let in");

    let one: Option<i64> = connection.query_first("SELECT 1").await.expect("answers");
    assert_eq!(one, Some(1));
    connection.disconnect().await.expect("ends");
    assert!(server.attempts()[0].tls);
}

#[tokio::test]
async fn certificate_of_another_authority_wrong() {
    let server = server().await;
    let other = CertificateAuthority::generate().expect("generates");

    let error = refused(builder(&server).root_certificates(other.pem())).await;

    nothing_was_sent(&server, &error, "not signed by a trusted authority");
}

#[tokio::test]
async fn platform_roots_alone_wrong() {
    let server = server().await;

    let error = refused(builder(&server)).await;

    nothing_was_sent(&server, &error, "the platform's roots");
}

#[tokio::test]
async fn certificate_of_another_name_wrong() {
    let server = server().await;
    server.inject_always(Fault::CertificateFor("db.evil.us-east-2.rds.amazonaws.com".to_owned()));

    let error = refused(builder(&server).root_certificates(server.ca_pem())).await;

    nothing_was_sent(&server, &error, "certificate is not for");
}

#[tokio::test]
async fn certificate_expired_wrong() {
    let server = server().await;
    server.inject_always(Fault::CertificateExpired);

    let error = refused(builder(&server).root_certificates(server.ca_pem())).await;

    nothing_was_sent(&server, &error, "period of validity");
}

#[tokio::test]
async fn tls_missing() {
    let server = server().await;
    server.inject_always(Fault::NoTls);

    let error = refused(builder(&server).root_certificates(server.ca_pem())).await;

    nothing_was_sent(&server, &error, "does not offer TLS");
}

#[tokio::test]
async fn bundle_wrong() {
    let server = server().await;
    let pem = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";

    let error = builder(&server).root_certificates(pem).build().expect_err("no certificate");

    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
