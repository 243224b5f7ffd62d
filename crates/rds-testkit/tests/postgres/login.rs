//! Logins by token at the PostgreSQL server, right and wrong.

use std::time::{Duration, UNIX_EPOCH};

use postgres_native_tls::MakeTlsConnector;
use rds_testkit::{AccessKey, Outcome, PasswordMethod, PostgresServer, Refusal};
use tokio_postgres::config::SslNegotiation;

use crate::client::{config, connect, login, refusal};
use crate::signer::Signer;

#[tokio::test]
async fn token_login_ok() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    let client = login(&server, &token).await.unwrap();
    let row = client.query_one("SELECT current_user", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "jane");

    let [attempt] = &server.attempts()[..] else { panic!("one attempt") };
    assert_eq!(attempt.outcome, Outcome::Accepted);
    assert_eq!((&*attempt.user, &*attempt.database), ("jane", "app"));
    assert!(attempt.tls);
    assert_eq!(attempt.server_name.as_deref(), Some(server.host()));
    assert_eq!(attempt.password_len, token.len());
    assert_eq!(attempt.password_digest, Some(server.digest(&token)));
    assert_eq!(attempt.access_key_id.as_deref(), Some(server.access_key().access_key_id()));
    assert_eq!((server.accepted(), server.refused()), (1, 0));
}

#[tokio::test]
async fn token_with_a_session_token_of_two_kilobytes_ok() {
    let key = AccessKey::new("ASIAEXAMPLE", "secret").with_session_token("S+/=".repeat(300));
    let server = PostgresServer::builder().access_key(key).start().await.unwrap();
    let token = Signer::new(&server).sign();
    assert!(token.len() > 2400);
    login(&server, &token).await.unwrap();
}

#[tokio::test]
async fn token_of_botocore_ok() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../tokens.json")).unwrap();
    let plain = &vectors[0];
    assert_eq!(plain["time"], "2025-01-15T12:34:56Z");
    let text = |name: &str| plain[name].as_str().unwrap();
    let server = PostgresServer::builder()
        .host(text("host"))
        .region(text("region"))
        .signed_port(5432)
        .user(text("user"))
        .access_key(AccessKey::new(text("access_key_id"), text("secret_access_key")))
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_736_944_496))
        .start()
        .await
        .unwrap();
    for token in plain["tokens"].as_array().unwrap() {
        login(&server, token["text"].as_str().unwrap()).await.unwrap();
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn user_with_odd_characters_ok() {
    for user in ["Jane Doe", "a@b+c/d%e", "a&DBUser=b", "o'brien", "jäne"] {
        let server = PostgresServer::builder().user(user).start().await.unwrap();
        let client = login(&server, &Signer::new(&server).sign()).await.unwrap();
        let row = client.query_one("SELECT current_user", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), user);
    }
}

#[tokio::test]
async fn second_host_ok() {
    let server = PostgresServer::builder().host("one.example").host("two.example").start().await.unwrap();
    let token = Signer { host: "two.example".to_owned(), ..Signer::new(&server) }.sign();
    let mut config = tokio_postgres::Config::new();
    config.host("two.example").hostaddr(server.addr().ip()).port(server.port()).user("jane").password(token);
    connect(&server, &config).await.unwrap();
    assert_eq!(server.attempts()[0].server_name.as_deref(), Some("two.example"));
    assert_eq!(server.attempts()[0].database, "jane");
}

#[tokio::test]
async fn tls_without_asking_first_ok() {
    let server = PostgresServer::builder().start().await.unwrap();
    let mut config = config(&server, &Signer::new(&server).sign());
    config.ssl_negotiation(SslNegotiation::Direct);
    let ca = native_tls::Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    let mut builder = native_tls::TlsConnector::builder();
    builder.add_root_certificate(ca);
    let without_protocol = MakeTlsConnector::new(builder.build().unwrap());
    assert!(config.connect(without_protocol).await.is_err());
    postgres_native_tls::set_postgresql_alpn(&mut builder);
    let with_protocol = MakeTlsConnector::new(builder.build().unwrap());
    assert!(config.connect(with_protocol).await.is_ok());
    let outcomes = server.attempts().iter().map(|attempt| attempt.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes, [Outcome::TlsFailed, Outcome::Accepted]);
}

#[tokio::test]
async fn host_in_upper_case_ok() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    login(&server, &token.replacen("db.abc123", "DB.Abc123", 1)).await.unwrap();
}

#[tokio::test]
async fn parameters_in_another_order_ok() {
    let server = PostgresServer::builder().start().await.unwrap();
    let token = Signer::new(&server).sign();
    let (endpoint, query) = token.split_once('?').unwrap();
    let mut parameters = query.split('&').collect::<Vec<_>>();
    parameters.reverse();
    login(&server, &format!("{endpoint}?{}", parameters.join("&"))).await.unwrap();
}

#[tokio::test]
async fn password_login_ok() {
    for method in [PasswordMethod::Cleartext, PasswordMethod::ScramSha256, PasswordMethod::Trust] {
        let server = PostgresServer::builder()
            .password_user("legacy", "open sesame")
            .password_method(method)
            .start()
            .await
            .unwrap();
        let mut config = config(&server, "open sesame");
        config.user("legacy");
        connect(&server, &config).await.unwrap_or_else(|error| panic!("{method:?}: {error:?}"));
        let is_clear = method == PasswordMethod::Cleartext;
        assert_eq!(server.attempts()[0].password_len, if is_clear { 11 } else { 0 });
    }
}

#[tokio::test]
async fn password_login_wrong() {
    for method in [PasswordMethod::Cleartext, PasswordMethod::Md5, PasswordMethod::ScramSha256] {
        let server = PostgresServer::builder()
            .password_user("legacy", "open sesame")
            .password_method(method)
            .start()
            .await
            .unwrap();
        let mut config = config(&server, "open barley");
        config.user("legacy");
        let refusal = refusal(connect(&server, &config).await);
        assert_eq!(refusal.0, "28P01", "{method:?}");
        assert_eq!(refusal.1, "password authentication failed for user \"legacy\"");
        assert_eq!(server.attempts()[0].outcome, Outcome::Refused(Refusal::WrongPassword));
    }
}

#[tokio::test]
async fn password_login_missing() {
    let server =
        PostgresServer::builder().password_method(PasswordMethod::ScramSha256).start().await.unwrap();
    let mut config = config(&server, &Signer::new(&server).sign());
    config.user("nobody");
    assert_eq!(refusal(connect(&server, &config).await).0, "28P01");
    assert_eq!(server.attempts()[0].outcome, Outcome::Refused(Refusal::NoSuchUser));
}
