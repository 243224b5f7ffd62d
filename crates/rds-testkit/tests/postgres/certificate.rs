//! Certificates of the PostgreSQL server, as clients see them.

use rds_testkit::{CertificateAuthority, ErrorKind, Fault, Outcome, PostgresServer};

use crate::client::{config, connect, login, tls};
use crate::signer::Signer;

async fn check_untrusted(server: &PostgresServer) {
    let error = login(server, &Signer::new(server).sign()).await.err().unwrap();
    assert!(error.as_db_error().is_none(), "{error:?}");
    let attempts = server.wait_for_attempts(1).await;
    // OpenSSL tells the server of an unknown issuer, but of a wrong name only by hanging up.
    assert!(matches!(attempts[0].outcome, Outcome::TlsFailed | Outcome::Abandoned), "{attempts:?}");
    assert_eq!(attempts[0].password_len, 0);
    login(server, &Signer::new(server).sign()).await.unwrap();
}

#[tokio::test]
async fn certificate_of_another_authority_wrong() {
    let server = PostgresServer::builder().start().await.unwrap();
    server.inject(Fault::CertificateFrom(CertificateAuthority::generate().unwrap()));
    check_untrusted(&server).await;
}

#[tokio::test]
async fn certificate_for_another_name_wrong() {
    let server = PostgresServer::builder().start().await.unwrap();
    server.inject(Fault::CertificateFor("other.example".to_owned()));
    check_untrusted(&server).await;
}

#[tokio::test]
async fn certificate_expired_wrong() {
    let server = PostgresServer::builder().start().await.unwrap();
    server.inject(Fault::CertificateExpired);
    check_untrusted(&server).await;
}

#[tokio::test]
async fn client_that_trusts_another_authority_wrong() {
    let server = PostgresServer::builder().start().await.unwrap();
    let other = CertificateAuthority::generate().unwrap();
    let config = config(&server, &Signer::new(&server).sign());
    assert!(config.connect(tls(other.pem())).await.is_err());
    assert_eq!(server.wait_for_attempts(1).await[0].outcome, Outcome::TlsFailed);
}

#[tokio::test]
async fn shared_authority_serves_two_servers() {
    let ca = CertificateAuthority::generate().unwrap();
    for host in ["one.example", "two.example"] {
        let server = PostgresServer::builder().host(host).ca(&ca).start().await.unwrap();
        assert_eq!(server.ca_pem(), ca.pem());
        connect(&server, &config(&server, &Signer::new(&server).sign())).await.unwrap();
    }
}

#[tokio::test]
async fn ca_file_lives_as_long_as_the_server() {
    let server = PostgresServer::builder().start().await.unwrap();
    let path = server.ca_file().to_owned();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), server.ca_pem());
    drop(server);
    assert!(!path.exists() && !path.parent().unwrap().exists());
}

#[tokio::test]
async fn host_that_fits_into_no_certificate_wrong() {
    let error = PostgresServer::builder().host("dä.example").start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate);
    let error = PostgresServer::builder().host("").start().await.unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Configuration, "empty host"));
}
