//! TLS before a token leaves, at honest and hostile servers.

mod roots;

use std::{path::PathBuf, time::Duration};

use e2e::{
    HOST, USER, chain,
    mysql::{Fixture, log_in},
};
use mysql_async::{OptsBuilder, prelude::Queryable};
use rds_testkit::{CertificateAuthority, Fault, Gate, HostileBehavior, Outcome, Phase};
use rds_wrapper::{Error, ErrorKind, mysql::Connector};

/// The header of a packet and a request for TLS: all that may leave before TLS stands.
const TLS_REQUEST: usize = 4 + 32;

/// Expects that the server never saw a byte of a token, in clear text or as a password.
#[track_caller]
fn no_token_was_sent(rig: &Fixture, error: &Error) {
    let attempts = rig.server.attempts();
    assert!(attempts.iter().all(|attempt| attempt.password_len == 0), "{attempts:?}");
    assert!(attempts.iter().all(|attempt| attempt.outcome != Outcome::Accepted), "{attempts:?}");
    let clear_text = rig.server.clear_text();
    assert!(clear_text.len() <= TLS_REQUEST, "{:?}", String::from_utf8_lossy(&clear_text));
    assert!(!chain(error).contains("X-Amz"), "{}", chain(error));
}

#[track_caller]
fn nothing_was_sent(rig: &Fixture, error: &Error, says: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", chain(error));
    for part in says {
        assert!(error.to_string().contains(part), "{error} should say {part}");
    }
    no_token_was_sent(rig, error);
}

#[tokio::test]
async fn tls_ok() {
    let rig = Fixture::start().await;

    log_in(&rig.connector()).await.expect("is let in");

    assert_eq!(rig.server.clear_text().len(), TLS_REQUEST, "only the request for tls");
    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn tls_missing() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::NoTls);

    let error = log_in(&rig.connector()).await.expect_err("no tls on offer");

    nothing_was_sent(&rig, &error, &["does not offer TLS", "nothing secret was sent"]);
    assert!(rig.server.clear_text().is_empty());
}

#[tokio::test]
async fn authority_wrong() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

    let error = log_in(&rig.connector()).await.expect_err("another authority");

    nothing_was_sent(
        &rig,
        &error,
        &[
            "not signed by a trusted authority",
            HOST,
            "1 certificate",
            "sslrootcert",
            "`sslrootcert=FILE,system`",
        ],
    );
}

#[tokio::test]
async fn authority_missing() {
    let rig = Fixture::start().await;
    let connector = Connector::builder(rig.registry())
        .connection_string(rig.url())
        .resolver(e2e::local())
        .build()
        .expect("builds");

    let error = log_in(&connector).await.expect_err("the platform does not know the authority");

    nothing_was_sent(&rig, &error, &["the platform's roots", "global-bundle.pem"]);
}

#[tokio::test]
async fn name_wrong() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateFor("db.evil.us-east-2.rds.amazonaws.com".to_owned()));

    let error = log_in(&rig.connector()).await.expect_err("another name");

    nothing_was_sent(&rig, &error, &["certificate is not for", HOST]);
}

#[tokio::test]
async fn certificate_expired() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateExpired);

    let error = log_in(&rig.connector()).await.expect_err("expired");

    nothing_was_sent(&rig, &error, &["period of validity"]);
}

#[tokio::test]
async fn address_with_iam_host_ok() {
    let rig = Fixture::start().await;
    let url = format!("mysql://{USER}@127.0.0.1:{}/app?plugins=iam&iamHost={HOST}", rig.server.port());

    log_in(&rig.builder(url).build().expect("builds")).await.expect("verified against the endpoint's name");

    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn server_name_in_a_url_may_not_leave_the_domain() {
    let rig = Fixture::start().await;

    let error =
        rig.builder(rig.url() + "&tlsServerName=db.evil.example").build().expect_err("another domain");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`tlsServerName` `db.evil.example` lies outside"), "{error}");

    let in_code = rig.builder(rig.url()).parameter("tlsServerName", "db.evil.example").build();
    let error =
        log_in(&in_code.expect("the program may")).await.expect_err("the certificate has another name");
    nothing_was_sent(&rig, &error, &["db.evil.example"]);
}

#[tokio::test]
async fn server_that_asks_at_once_gets_nothing() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::AskAtOnce);

    let error = log_in(&rig.connector()).await.expect_err("no greeting");

    no_token_was_sent(&rig, &error);
    assert!(rig.server.clear_text().is_empty());
}

#[tokio::test]
async fn server_that_asks_without_tls_gets_nothing() {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::NoTls);
    rig.server.misbehave(HostileBehavior::AskWithoutTls);

    let error = log_in(&rig.connector()).await.expect_err("no tls on offer");

    nothing_was_sent(&rig, &error, &["does not offer TLS"]);
    assert!(rig.server.clear_text().is_empty());
}

#[tokio::test]
async fn server_that_asks_in_place_of_tls_gets_nothing() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::AskInsteadOfTls);

    let error = log_in(&rig.connector()).await.expect_err("no handshake");

    assert_eq!(error.kind(), ErrorKind::Tls, "{}", chain(&error));
    let clear_text = String::from_utf8_lossy(&rig.server.clear_text()).into_owned();
    assert!(!clear_text.contains("X-Amz") && !clear_text.contains(USER), "{clear_text}");
}

#[tokio::test]
async fn injected_auth_request_before_tls_is_not_answered() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::AskBehindGreeting);
    rig.server.inject_always(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

    let error = log_in(&rig.connector()).await.expect_err("another authority");

    nothing_was_sent(&rig, &error, &["not signed by a trusted authority"]);
}

#[tokio::test]
async fn socket_of_a_remote_server_is_not_queried() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::Socket(PathBuf::from("/tmp/hostile.sock")));

    log_in(&rig.builder(rig.url() + "&prefer_socket=true").build().expect("builds"))
        .await
        .expect("is let in");

    let queries = rig.server.queries();
    assert!(queries.iter().all(|query| !query.contains("socket")), "{queries:?}");
}

#[tokio::test]
async fn file_is_not_given() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::AskForFile(PathBuf::from("/etc/hostname")));

    let mut connection = rig.connector().connect().await.expect("is let in");
    let error = connection.query_drop("SELECT 1").await.expect_err("asks for a file");

    assert!(error.to_string().to_lowercase().contains("infile"), "{error}");
    assert!(rig.server.files().is_empty(), "{:?}", rig.server.files());
}

#[tokio::test]
async fn oversized_greeting_is_an_error() {
    let rig = Fixture::start().await;
    rig.server.misbehave(HostileBehavior::Oversized);

    let error = log_in(&rig.connector()).await.expect_err("too large");

    assert_eq!(error.kind(), ErrorKind::Configuration, "{}", chain(&error));
    assert!(error.to_string().contains("is not a MySQL server"), "{error}");
    no_token_was_sent(&rig, &error);
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("the value of a panic panics");
    }
}

#[tokio::test]
async fn panic_in_the_driver_is_an_error() {
    let rig = Fixture::start().await;
    let opts = OptsBuilder::default().ip_or_hostname(HOST).tcp_port(rig.server.port()).user(Some(USER));
    let opts = opts.after_connect(|_| Box::pin(async { std::panic::panic_any(PanicsOnDrop) }));
    let connector = rig.builder("").opts(opts).parameter("plugins", "iam").build().expect("builds");

    let error = connector.connect().await.expect_err("panics");

    assert_eq!(error.kind(), ErrorKind::Driver, "{}", chain(&error));
    assert!(error.to_string().contains("the driver panicked"), "{error}");
    log_in(&rig.connector()).await.expect("the next one is let in");
}

#[tokio::test]
async fn hanging_server_is_left_when_the_time_is_over() {
    let rig = Fixture::start().await;
    let gate = Gate::new();
    rig.server.inject(Fault::Hang(Phase::Login, gate.clone()));
    let connector = rig.builder(rig.url() + "&wrapperConnectTimeout=200").build().expect("builds");

    let error = log_in(&connector).await.expect_err("hangs");

    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", chain(&error));
    assert!(error.to_string().contains("still opening the connection"), "{error}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    rig.clock.advance(Duration::from_secs(1));
    gate.open();
}

#[tokio::test]
async fn second_address_is_dialled_when_nothing_listens_on_the_first() {
    let rig = Fixture::start().await;
    let addresses = vec![[127, 0, 0, 2].into(), [127, 0, 0, 1].into()];
    let connector = rig
        .builder(rig.url())
        .resolver(rds_wrapper::host::resolver_fn(move |_| Ok(addresses.clone())))
        .build()
        .expect("builds");

    assert_eq!(log_in(&connector).await.expect("by the second address"), USER);
}

#[tokio::test]
async fn nothing_listening_is_a_connect_error() {
    let rig = Fixture::start().await;
    let url = format!("mysql://{USER}@{HOST}:1/app?plugins=iam");

    let error = log_in(&rig.builder(url).build().expect("builds")).await.expect_err("port 1 is closed");

    assert_eq!(error.kind(), ErrorKind::Connect, "{}", chain(&error));
    assert!(error.to_string().contains("nothing listens on"), "{error}");
}
