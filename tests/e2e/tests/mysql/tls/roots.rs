//! Roots from files and of the platform: when they are read, and which of them are trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use e2e::{
    HOST, chain,
    mysql::{Fixture, log_in},
};
use mysql_async::SslOpts;
use rds_testkit::{CertificateAuthority, Fault, MysqlServer, Outcome};
use rds_wrapper::{
    ErrorKind,
    mysql::{Connector, ConnectorBuilder},
};
use tokio::process::Command;

use super::nothing_was_sent;

/// Names the URL of a server for the same test in a process of its own, whose platform trusts what
/// `SSL_CERT_FILE` says.
const URL_OF_PARENT: &str = "E2E_MYSQL_URL";

/// OpenSSL reads the platform's roots from the environment; elsewhere tests cannot change them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn platform_roots_follow_sslrootcert() {
    let other = MysqlServer::builder().start().await.expect("the server starts");
    let Ok(url) = std::env::var(URL_OF_PARENT) else {
        let rig = Fixture::start_with(|server| server.password_user("legacy", "pw")).await;
        let mut child = Command::new(std::env::current_exe().expect("is a file"));
        child.args(["--exact", "tls::roots::platform_roots_follow_sslrootcert"]);
        child.env(URL_OF_PARENT, format!("mysql://legacy:pw@{HOST}:{}/app", rig.server.port()));
        child.env("SSL_CERT_FILE", rig.server.ca_file());
        let output = child.output().await.expect("the test runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(rig.server.accepted(), 2);
        return;
    };
    let log_in_with = async |roots: String| {
        let url = format!("{url}?sslmode=verify-full&sslrootcert={roots}");
        let builder =
            Connector::builder(rds_wrapper::plugins()).connection_string(url).resolver(e2e::local());
        log_in(&builder.build().expect("builds")).await
    };
    let file = other.ca_file().display();

    log_in_with("system".to_owned()).await.expect("the platform knows the authority");
    log_in_with(format!("{file},system")).await.expect("the platform counts beside the file");
    let error = log_in_with(file.to_string()).await.expect_err("the file replaces the platform");
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", chain(&error));
}

/// A copy of the server's authority, and a connector that trusts it.
fn bundled(rig: &Fixture, name: &str) -> (PathBuf, Connector) {
    let file = rig.server.ca_file().with_file_name(name);
    fs::write(&file, rig.server.ca_pem()).expect("can be written");
    let url = format!("{}&sslrootcert={}", rig.url(), file.display());
    let builder = Connector::builder(rig.registry()).connection_string(url).resolver(e2e::local());
    (file, builder.build().expect("builds"))
}

#[tokio::test]
async fn replaced_authority_is_found_in_the_file() {
    let rig = Fixture::start().await;
    let (file, connector) = bundled(&rig, "replaced-mysql.pem");
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
    let failed = rig.server.attempts().iter().filter(|attempt| attempt.outcome == Outcome::TlsFailed).count();
    assert!((1..=8).contains(&failed), "{failed}");
    fs::remove_file(&file).expect("can be removed");
}

#[tokio::test]
async fn broken_bundle_leaves_the_former_roots() {
    let rig = Fixture::start().await;
    let (file, connector) = bundled(&rig, "broken-mysql.pem");
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nhalf").expect("can be written");
    rig.server.inject(Fault::CertificateFrom(CertificateAuthority::generate().expect("generates")));

    let error = log_in(&connector).await.expect_err("a stranger");
    nothing_was_sent(&rig, &error, &["not signed by a trusted authority"]);

    log_in(&connector).await.expect("the former roots count on");
    fs::remove_file(&file).expect("can be removed");
}

#[tokio::test]
async fn bundle_with_a_comment_that_is_not_utf8_ok() {
    let rig = Fixture::start().await;
    let (file, _) = bundled(&rig, "latin1-mysql.pem");
    let comment = b"# Entidade Certificadora de Jo\xe3o\n".as_slice();
    fs::write(&file, [comment, rig.server.ca_pem().as_bytes(), comment].concat()).expect("can be written");
    let url = format!("{}&sslrootcert={}", rig.url(), file.display());
    let builder = Connector::builder(rig.registry()).connection_string(url).resolver(e2e::local());

    log_in(&builder.build().expect("builds")).await.expect("is let in");
    fs::remove_file(&file).expect("can be removed");
}

#[test]
fn sslmode_disable_reads_no_file() {
    let url =
        "mysql://u@127.0.0.1/app?sslmode=disable&sslrootcert=/no/such/file&sslcert=/no/such&sslkey=/no/such";

    Connector::from_url(url, rds_wrapper::Registry::new()).expect("files about tls are not looked at");
}

/// Trusts the roots of a file, which the driver reads when it builds its TLS connector and at no
/// other time.
fn trusting(rig: &Fixture, file: &Path) -> ConnectorBuilder {
    let roots = SslOpts::default().with_root_certs(vec![file.to_path_buf().into()]);
    let builder = Connector::builder(rig.registry()).connection_string(rig.url() + "&iamTokenExpiration=0");
    builder.resolver(e2e::local()).danger_tls(roots)
}

#[tokio::test]
async fn tls_connector_is_built_once_for_all_connects_and_tokens() {
    let rig = Fixture::start().await;
    let file = rig.server.ca_file().with_file_name("once.pem");
    fs::write(&file, rig.server.ca_pem()).expect("can be written");
    let connector = trusting(&rig, &file).build().expect("builds");
    log_in(&connector).await.expect("is let in");

    fs::remove_file(&file).expect("can be removed");

    for _ in 1..100 {
        log_in(&connector).await.expect("is let in without the file");
    }
    assert_eq!((rig.server.accepted(), rig.tokens.stats().signed), (100, 100));
    let another = trusting(&rig, &file).build().expect("builds");
    log_in(&another).await.expect_err("a new connector reads the file");
}
