//! TLS before a token leaves, with either stack.

use std::{fs, path::PathBuf};

use e2e::{Fixture, HOST, USER, chain, log_in};
use rds_testkit::{CertificateAuthority, Fault, Gate, Outcome, Phase};
use rds_wrapper::{
    Error, ErrorKind,
    pg::{ConnectorBuilder, TlsStack},
};

#[track_caller]
fn nothing_was_sent(rig: &Fixture, error: &Error, says: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", chain(error));
    for part in says {
        assert!(error.to_string().contains(part), "{error} should say {part}");
    }
    let attempts = rig.server.attempts();
    assert!(attempts.iter().all(|attempt| attempt.password_len == 0), "{attempts:?}");
    assert!(attempts.iter().all(|attempt| attempt.outcome != Outcome::Accepted));
}

fn builder(rig: &Fixture, query: &str, stack: TlsStack) -> ConnectorBuilder {
    rig.builder(rig.url() + query).tls_stack(stack)
}

async fn refused(rig: &Fixture, stack: TlsStack) -> Error {
    let connector = builder(rig, "", stack).build().expect("builds");
    log_in(&connector).await.expect_err("less than verified tls")
}

async fn verified(stack: TlsStack) {
    let rig = Fixture::start().await;

    assert_eq!(log_in(&builder(&rig, "", stack).build().expect("builds")).await.expect("is let in"), USER);

    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

async fn not_offered(stack: TlsStack) {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::NoTls);

    nothing_was_sent(&rig, &refused(&rig, stack).await, &["does not offer TLS", "nothing secret was sent"]);
}

async fn other_authority(stack: TlsStack) {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

    let says = [
        "not signed by a trusted authority",
        HOST,
        "1 certificate",
        "sslrootcert",
        "`sslrootcert=FILE,system`",
    ];
    nothing_was_sent(&rig, &refused(&rig, stack).await, &says);
}

async fn platform_roots_alone(stack: TlsStack) {
    let rig = Fixture::start().await;
    let url = rig.url() + "&hostaddr=127.0.0.1&sslrootcert=system";
    let connector =
        rds_wrapper::pg::Connector::builder(rig.registry()).connection_string(url).tls_stack(stack);

    let error = log_in(&connector.build().expect("builds")).await.expect_err("not one of the platform's");

    nothing_was_sent(&rig, &error, &["not signed by a trusted authority", "the platform's roots"]);
}

async fn other_name(stack: TlsStack) {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateFor("db.evil.us-east-2.rds.amazonaws.com".to_owned()));

    nothing_was_sent(&rig, &refused(&rig, stack).await, &["certificate is not for", HOST]);
}

/// The configured host is an address, and `iamHost` names another endpoint than the one behind it:
/// the remedy is not to set `iamHost`.
async fn other_name_with_iam_host(stack: TlsStack) {
    let rig = Fixture::start().await;
    let port = rig.server.port();
    let url = format!("postgres://{USER}@127.0.0.1:{port}/app?plugins=iam&iamHost=other-{HOST}");
    let connector = rig.builder(url).tls_stack(stack).build().expect("builds");

    let error = log_in(&connector).await.expect_err("another server");

    nothing_was_sent(&rig, &error, &["certificate is not for", "other-", "lead to another server"]);
    assert_eq!(error.diagnosis()[0].code(), "wrong-name", "{error:?}");
}

async fn expired(stack: TlsStack) {
    let rig = Fixture::start().await;
    rig.server.inject_always(Fault::CertificateExpired);

    nothing_was_sent(&rig, &refused(&rig, stack).await, &["period of validity"]);
}

async fn address_with_iam_host(stack: TlsStack) {
    let rig = Fixture::start().await;
    let url = format!("postgres://{USER}@127.0.0.1:{}/app?plugins=iam&iamHost={HOST}", rig.server.port());
    let connector = rig.builder(url).tls_stack(stack).build().expect("builds");

    log_in(&connector).await.expect("verified against the endpoint's name");

    assert_eq!(rig.server.attempts()[0].server_name.as_deref(), Some(HOST));
}

async fn direct_negotiation(stack: TlsStack) {
    let rig = Fixture::start().await;

    let connector = builder(&rig, "&sslnegotiation=direct", stack).build().expect("builds");

    assert_eq!(log_in(&connector).await.expect("is let in"), USER);
}

async fn server_name_outside_the_domain(stack: TlsStack) {
    let rig = Fixture::start().await;
    let error = builder(&rig, "&tlsServerName=db.evil.example", stack).build().expect_err("another domain");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`tlsServerName` `db.evil.example` lies outside"), "{error}");

    let in_code = builder(&rig, "", stack).parameter("tlsServerName", "db.evil.example").build();
    let error = log_in(&in_code.expect("the program may")).await.expect_err("another name");

    nothing_was_sent(&rig, &error, &["db.evil.example"]);
}

async fn cancel_request(stack: TlsStack) {
    let rig = Fixture::start().await;
    let connector = builder(&rig, "", stack).build().expect("builds");
    let (client, connection) = connector.connect().await.expect("is let in");
    let task = tokio::spawn(connection);

    // The server takes the request and, like RDS Proxy, does nothing about it.
    client.cancel_token().cancel_query(connector.tls()).await.expect("reaches the server over tls");

    drop(client);
    task.await.expect("ends").expect("without an error");
}

/// A copy of the server's authority that the connectors trust, in a folder that goes with the
/// server.
fn bundle(rig: &Fixture, name: &str) -> PathBuf {
    let file = rig.server.ca_file().with_file_name(name);
    fs::write(&file, rig.server.ca_pem()).expect("can be written");
    file
}

fn trusting(rig: &Fixture, stack: TlsStack, file: &std::path::Path) -> rds_wrapper::pg::Connector {
    let builder = rds_wrapper::pg::Connector::builder(rig.registry())
        .connection_string(format!("{}&sslrootcert={}", rig.url(), file.display()))
        .resolver(e2e::local())
        .tls_stack(stack);
    builder.build().expect("builds")
}

async fn replaced_authority(stack: TlsStack) {
    let rig = Fixture::start().await;
    let file = bundle(&rig, &format!("replaced-{stack:?}.pem"));
    let connector = trusting(&rig, stack, &file);
    log_in(&connector).await.expect("is let in");

    let next = CertificateAuthority::generate().expect("generates");
    fs::write(&file, next.pem()).expect("can be written");
    rig.server.inject_always(Fault::CertificateFrom(next));

    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let connector = connector.clone();
            tokio::spawn(async move { log_in(&connector).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("ends").expect("the file is read anew, once for all");
    }
    let (client, connection) = connector.connect().await.expect("is let in");
    let task = tokio::spawn(connection);
    client.cancel_token().cancel_query(connector.tls()).await.expect("cancel requests know it too");
    drop(client);
    task.await.expect("ends").expect("without an error");
    // Each of the eight was refused once at most, and no token left for a server that was not
    // known.
    let attempts = rig.server.attempts();
    assert!(attempts.iter().filter(|attempt| attempt.outcome == Outcome::TlsFailed).count() <= 8);
    fs::remove_file(&file).expect("can be removed");
}

async fn broken_bundle(stack: TlsStack) {
    let rig = Fixture::start().await;
    let file = bundle(&rig, &format!("broken-{stack:?}.pem"));
    let connector = trusting(&rig, stack, &file);
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nhalf").expect("can be written");
    rig.server.inject(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

    nothing_was_sent(
        &rig,
        &log_in(&connector).await.expect_err("a stranger"),
        &["not signed by a trusted authority"],
    );

    log_in(&connector).await.expect("the former roots count on");
    fs::remove_file(&file).expect("can be removed");
}

async fn bundle_with_a_comment_that_is_not_utf8(stack: TlsStack) {
    let rig = Fixture::start().await;
    let file = bundle(&rig, &format!("latin1-{stack:?}.pem"));
    let comment = b"# Entidade Certificadora de Jo\xe3o\n".as_slice();
    fs::write(&file, [comment, rig.server.ca_pem().as_bytes(), comment].concat()).expect("can be written");

    log_in(&trusting(&rig, stack, &file)).await.expect("is let in");
    fs::remove_file(&file).expect("can be removed");
}

async fn no_tls_wanted(stack: TlsStack) {
    let registry = rds_wrapper::Registry::new();
    let builder = rds_wrapper::pg::Connector::builder(registry).tls_stack(stack).connection_string(
        "postgres://u@127.0.0.1/app?sslmode=disable&sslrootcert=/no/such/file&sslcert=/no/such&sslkey=/no/such",
    );

    let connector = builder.build().expect("files about tls are not looked at");

    assert!(format!("{:?}", connector.tls()).contains("\"off\""), "{:?}", connector.tls());
}

async fn server_that_hangs(stack: TlsStack) {
    let rig = Fixture::start().await;
    let gate = Gate::new();
    rig.server.inject(Fault::Hang(Phase::Tls, gate.clone()));
    let connector = builder(&rig, "&wrapperConnectTimeout=300", stack).build().expect("builds");

    let error = log_in(&connector).await.expect_err("never answers");

    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(
        text.contains("in the TLS handshake") && text.contains(HOST) && text.contains("127.0.0.1"),
        "{text}"
    );
    gate.open();
}

macro_rules! either_stack {
    ($($test:ident => $case:ident;)*) => {
        mod native_tls {
            use super::*;
            $(#[tokio::test] async fn $test() { $case(TlsStack::NativeTls).await; })*
        }
        mod rustls {
            use super::*;
            $(#[tokio::test] async fn $test() { $case(TlsStack::Rustls).await; })*
        }
    };
}

either_stack! {
    certificate_ok => verified;
    certificate_of_another_authority_wrong => other_authority;
    certificate_of_another_name_wrong => other_name;
    certificate_for_another_name_than_iam_host_is_no_hidden_name => other_name_with_iam_host;
    certificate_expired_wrong => expired;
    tls_missing => not_offered;
    platform_roots_alone_wrong => platform_roots_alone;
    address_with_iam_host_ok => address_with_iam_host;
    direct_negotiation_ok => direct_negotiation;
    server_name_in_a_string_may_not_leave_the_domain => server_name_outside_the_domain;
    cancel_request_ok => cancel_request;
    server_that_hangs_is_named_with_its_phase => server_that_hangs;
    replaced_authority_is_found_in_the_file => replaced_authority;
    broken_bundle_leaves_the_former_roots => broken_bundle;
    bundle_with_a_comment_that_is_not_utf8_ok => bundle_with_a_comment_that_is_not_utf8;
    sslmode_disable_builds_nothing_and_reads_nothing => no_tls_wanted;
}
