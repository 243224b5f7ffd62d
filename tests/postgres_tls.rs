//! TLS before a token leaves.

use e2e::{HOST, Rig, chain, log_in};
use rds_testkit::{Ca, Fault, Outcome};
use rds_wrapper::{Error, ErrorKind};

#[track_caller]
fn nothing_was_sent(rig: &Rig, error: &Error, says: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", chain(error));
    for part in says {
        assert!(error.to_string().contains(part), "{error} should say {part}");
    }
    let attempts = rig.server.attempts();
    assert!(attempts.iter().all(|attempt| attempt.password_len == 0), "{attempts:?}");
    assert!(attempts.iter().all(|attempt| attempt.outcome != Outcome::Accepted));
}

#[tokio::test]
async fn tls_missing() {
    let rig = Rig::start().await;
    rig.server.inject_always(Fault::NoTls);

    let error = log_in(&rig.connector()).await.expect_err("no tls on offer");

    nothing_was_sent(&rig, &error, &["offers no tls", "no token was sent"]);
}

#[tokio::test]
async fn authority_wrong() {
    let rig = Rig::start().await;
    rig.server.inject_always(Fault::CertificateFrom(Ca::generate().expect("generates")));

    let error = log_in(&rig.connector()).await.expect_err("another authority");

    nothing_was_sent(
        &rig,
        &error,
        &["no trusted issuer", HOST, "1 certificate", "sslrootcert", "file,system"],
    );
}

#[tokio::test]
async fn name_wrong() {
    let rig = Rig::start().await;
    rig.server.inject_always(Fault::CertificateFor("db.evil.us-east-2.rds.amazonaws.com".to_owned()));

    let error = log_in(&rig.connector()).await.expect_err("another name");

    nothing_was_sent(&rig, &error, &["certificate is not for", HOST]);
}

#[tokio::test]
async fn certificate_expired() {
    let rig = Rig::start().await;
    rig.server.inject_always(Fault::CertificateExpired);

    let error = log_in(&rig.connector()).await.expect_err("expired");

    nothing_was_sent(&rig, &error, &["period of validity"]);
}

#[tokio::test]
async fn address_with_iam_host_ok() {
    let rig = Rig::start().await;
    let url = format!("postgres://jane@127.0.0.1:{}/app?plugins=iam&iamHost={HOST}", rig.server.port());

    log_in(&rig.builder(url).build().expect("builds")).await.expect("verified against the endpoint's name");

    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

#[tokio::test]
async fn server_name_in_a_string_may_not_leave_the_domain() {
    let rig = Rig::start().await;

    let error =
        rig.builder(rig.url() + "&tlsServerName=db.evil.example").build().expect_err("another domain");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`tlsServerName` `db.evil.example` lies outside"), "{error}");

    let in_code = rig.builder(rig.url()).parameter("tlsServerName", "db.evil.example").build();
    let error =
        log_in(&in_code.expect("the program may")).await.expect_err("the certificate has another name");
    nothing_was_sent(&rig, &error, &["db.evil.example"]);
}
