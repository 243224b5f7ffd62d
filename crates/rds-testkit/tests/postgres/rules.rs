//! Rules that change while the server runs.

use std::time::{Duration, SystemTime};

use rds_testkit::{AccessKey, Outcome, PostgresServer, Refusal};

use crate::client::{login, refusal};
use crate::signer::Signer;

/// Returns the outcome of the newest attempt, after a login with `token`.
async fn outcome(server: &PostgresServer, token: &str) -> Outcome {
    let _ = login(server, token).await;
    server.attempts().last().unwrap().outcome
}

#[tokio::test]
async fn token_ages_with_the_clock() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    server.advance(Duration::from_secs(890));
    assert_eq!(outcome(&server, &token).await, Outcome::Accepted);
    server.advance(Duration::from_secs(20));
    assert_eq!(outcome(&server, &token).await, Outcome::Refused(Refusal::Expired));
    server.token_policy().rewind(Duration::from_secs(910 + 360));
    assert_eq!(outcome(&server, &token).await, Outcome::Refused(Refusal::NotYetValid));
    assert_eq!((server.accepted(), server.refused()), (1, 2));
}

#[tokio::test]
async fn revoked_key_is_refused_and_its_successor_accepted() {
    let server = PostgresServer::builder().start().await.unwrap();
    let old = Signer::new(&server);
    let new = Signer { access_key_id: "AKIANEW".into(), secret: "new".into(), ..old.clone() };
    assert_eq!(outcome(&server, &new.sign()).await, Outcome::Refused(Refusal::UnknownKey));
    server.token_policy().add_key(AccessKey::new("AKIANEW", "new"));
    assert!(server.token_policy().revoke_key(server.access_key().access_key_id()));
    assert_eq!(outcome(&server, &new.sign()).await, Outcome::Accepted);
    assert_eq!(outcome(&server, &old.sign()).await, Outcome::Refused(Refusal::UnknownKey));
    assert_eq!(server.attempts()[1].access_key_id.as_deref(), Some("AKIANEW"));
}

#[tokio::test]
async fn denied_user_is_refused_until_allowed_again() {
    let server = PostgresServer::builder().start().await.unwrap();
    let (key, token) = (server.access_key().access_key_id(), Signer::new(&server).sign());
    server.token_policy().deny(key, "jane");
    assert_eq!(outcome(&server, &token).await, Outcome::Refused(Refusal::Policy));
    server.token_policy().allow(key, "jane");
    assert_eq!(outcome(&server, &token).await, Outcome::Accepted);
}

#[tokio::test]
async fn logins_beyond_the_limit_of_a_second_are_refused() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let server = PostgresServer::builder().clock(move || start).start().await.unwrap();
    let token = Signer::new(&server).sign();
    server.token_policy().limit_logins(2);
    for expected in [Outcome::Accepted, Outcome::Accepted, Outcome::Refused(Refusal::Throttled)] {
        assert_eq!(outcome(&server, &token).await, expected);
    }
    assert_eq!(refusal(login(&server, &token).await).0, "28000", "as RDS says it");
    server.advance(Duration::from_secs(1));
    assert_eq!(outcome(&server, &token).await, Outcome::Accepted);
}

#[tokio::test]
async fn user_without_rds_iam_is_asked_for_a_password() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    server.token_policy().add_password_user("jane", "secret");
    assert_eq!(refusal(login(&server, &token).await).0, "28P01");
    assert!(server.token_policy().remove_user("jane"));
    assert_eq!(outcome(&server, &token).await, Outcome::Refused(Refusal::NoSuchUser));
    server.token_policy().add_user("jane");
    assert_eq!(outcome(&server, &token).await, Outcome::Accepted);
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let key = AccessKey::new("AKIAEXAMPLE", "SECRET").with_session_token("SESSION");
    let builder = PostgresServer::builder().access_key(key).password_user("legacy", "PASSWORD");
    let printed = format!("{builder:?}");
    let server = builder.start().await.unwrap();
    let token = Signer::new(&server).sign();
    login(&server, &token).await.unwrap();
    let printed = format!("{printed} {server:?} {:?} {:?}", server.attempts(), server.token_policy());
    let signature = token.rsplit_once('=').unwrap().1;
    for secret in ["SECRET", "SESSION", "PASSWORD", signature] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn handles_go_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<PostgresServer>();
    check::<rds_testkit::PostgresServerBuilder>();
    check::<rds_testkit::TokenPolicy>();
    check::<rds_testkit::CertificateAuthority>();
    check::<rds_testkit::Gate>();
    check::<rds_testkit::Fault>();
    check::<rds_testkit::Error>();
}
