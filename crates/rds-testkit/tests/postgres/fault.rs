//! Faults of the PostgreSQL server: refusals, delays and dropped connections.

use rds_testkit::{Fault, Gate, Outcome, PasswordMethod, Phase, PostgresServer, Refusal, ServerError};
use tokio_postgres::config::SslMode;

use crate::client::{config, connect, login, refusal};
use crate::signer::Signer;

#[tokio::test]
async fn refusals_come_in_order_and_end() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    server.inject_times(2, Fault::Refuse(ServerError::pam_refused_in_german("jane")));
    server.inject(Fault::Refuse(ServerError::too_many_connections().with_detail("all taken")));
    for _ in 0..2 {
        let message = "PAM-Authentifizierung für Benutzer »jane« fehlgeschlagen".to_owned();
        assert_eq!(refusal(login(&server, &token).await), ("28000".to_owned(), message));
    }
    let error = login(&server, &token).await.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.detail()), ("53300", Some("all taken")));
    login(&server, &token).await.unwrap();
    assert_eq!((server.accepted(), server.refused()), (1, 3));
    let attempts = server.attempts();
    assert_eq!(attempts[0].outcome, Outcome::Refused(Refusal::Injected));
    assert_eq!(attempts[0].password_digest, attempts[3].password_digest);
}

#[tokio::test]
async fn refusals_of_other_services_keep_their_words() {
    let server = PostgresServer::builder().start().await.unwrap();
    let rows = [
        (ServerError::proxy_refused("jane"), "28000", "The IAM authentication failed for the role jane"),
        (ServerError::proxy_throttled("jane"), "28000", "too many competing requests"),
        (ServerError::dsql_refused(), "08006", "access denied"),
        (ServerError::dsql_expired(), "08006", "access denied"),
        (ServerError::dsql_throttled(), "53400", "Rate of connection attempts exceeded"),
        (ServerError::dsql_waking(), "57P03", "waking up cluster, please retry later"),
    ];
    for (error, code, words) in rows {
        let hint = (error == ServerError::dsql_expired()).then_some("Signature expired");
        server.inject(Fault::Refuse(error));
        let error = login(&server, "any").await.err().unwrap();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code);
        assert!(error.message().contains(words), "{error:?}");
        assert_eq!(error.hint(), hint);
    }
}

#[tokio::test]
async fn fault_for_always_ends_when_cleared() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    server.inject_always(Fault::Refuse(ServerError::pam_refused("jane")));
    for _ in 0..3 {
        assert_eq!(refusal(login(&server, &token).await).0, "28000");
    }
    server.clear_faults();
    login(&server, &token).await.unwrap();
}

#[tokio::test]
async fn client_waits_at_each_phase_until_the_gate_opens() {
    for phase in [Phase::Accept, Phase::Tls, Phase::Startup, Phase::Login, Phase::Ready] {
        let server = PostgresServer::builder().start().await.unwrap();
        let token = Signer::new(&server).sign();
        let gate = Gate::new();
        server.inject(Fault::Hang(phase, gate.clone()));
        let mut login = Box::pin(login(&server, &token));
        tokio::select! {
            result = &mut login => panic!("not held at {phase:?}: {:?}", result.err()),
            () = gate.arrived(1) => {}
        }
        assert_eq!(server.accepted(), usize::from(phase == Phase::Ready), "{phase:?}");
        gate.open();
        login.await.unwrap_or_else(|error| panic!("{phase:?}: {error:?}"));
        assert_eq!(server.accepted(), 1);
    }
}

#[tokio::test]
async fn connection_dropped_at_each_phase_is_no_refusal() {
    for phase in [Phase::Accept, Phase::Tls, Phase::Startup, Phase::Login, Phase::Ready] {
        let server = PostgresServer::builder().start().await.unwrap();
        let token = Signer::new(&server).sign();
        server.inject(Fault::Drop(phase));
        let error = login(&server, &token).await.err().unwrap_or_else(|| panic!("not dropped at {phase:?}"));
        assert!(error.as_db_error().is_none(), "{phase:?}: {error:?}");
        let attempts = server.wait_for_attempts(1).await;
        let expected = if phase == Phase::Ready { Outcome::Accepted } else { Outcome::Abandoned };
        assert_eq!(attempts[0].outcome, expected, "{phase:?}");
        assert_eq!(attempts[0].password_len > 0, matches!(phase, Phase::Login | Phase::Ready));
        login(&server, &token).await.unwrap();
    }
}

#[tokio::test]
async fn tls_not_on_offer() {
    let server = PostgresServer::builder().start().await.unwrap();
    let mut config = config(&server, &Signer::new(&server).sign());
    server.inject_times(2, Fault::NoTls);
    assert!(connect(&server, &config).await.err().unwrap().as_db_error().is_none());
    assert_eq!(server.wait_for_attempts(1).await[0].outcome, Outcome::Abandoned);
    config.ssl_mode(SslMode::Prefer);
    assert!(refusal(connect(&server, &config).await).1.contains("no encryption"));
    assert_eq!(server.attempts()[1].outcome, Outcome::Refused(Refusal::NoTls));
}

#[tokio::test]
async fn iam_user_asked_in_another_way() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    for method in [PasswordMethod::Md5, PasswordMethod::ScramSha256] {
        server.inject(Fault::Ask(method));
        assert_eq!(refusal(login(&server, &token).await).0, "28P01", "{method:?}");
    }
    server.inject(Fault::Ask(PasswordMethod::Trust));
    login(&server, &token).await.unwrap();
    assert!(server.attempts().iter().all(|attempt| attempt.password_len == 0));
}

#[tokio::test]
async fn password_is_echoed() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer { expires: 3600, ..Signer::new(&server) }.sign();
    server.inject(Fault::EchoPassword);
    assert!(refusal(login(&server, &token).await).1.contains(&token));
    assert!(!refusal(login(&server, &token).await).1.contains(&token));
}

#[tokio::test]
async fn connections_are_cut() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    let client = login(&server, &token).await.unwrap();
    server.drop_connections();
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
    let client = login(&server, &token).await.unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn server_stops_when_dropped() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (token, addr) = (Signer::new(&server).sign(), server.addr());
    let client = login(&server, &token).await.unwrap();
    drop(server);
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
