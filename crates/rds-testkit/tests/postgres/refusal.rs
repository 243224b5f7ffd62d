//! One row for each way in which a login is refused; the client always reads the same.

use std::time::{Duration, SystemTime};

use rds_testkit::{AccessKey, Outcome, PostgresServer, Refusal};
use tokio_postgres::config::SslMode;

use crate::client::{config, connect, login, refusal};
use crate::signer::Signer;

const SECOND: Duration = Duration::from_secs(1);

/// Starts the server of all rows: `jane` and `bob` may use the first key, `eve` may not.
async fn server() -> PostgresServer {
    let key =
        AccessKey::new("ASIAEXAMPLE", "secret").with_session_token("session").allow("jane").allow("bob");
    let builder = PostgresServer::builder().user("jane").user("bob").user("eve").signed_port(5432);
    // Its clock stands, so that the last second is the last one on a busy machine too.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    builder.access_key(key).clock(move || now).start().await.unwrap()
}

async fn check(server: &PostgresServer, user: &str, token: &str, expected: Option<Refusal>) {
    let mut config = config(server, token);
    config.user(user);
    let result = connect(server, &config).await;
    let attempts = server.attempts();
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    match expected {
        None => assert!(result.is_ok(), "{attempts:?}"),
        Some(expected) => {
            assert_eq!(attempt.outcome, Outcome::Refused(expected), "{}", attempt.detail);
            let message = format!("PAM authentication failed for user \"{user}\"");
            assert_eq!(refusal(result), ("28000".to_owned(), message));
        }
    }
}

/// `name: Refusal, |signer| bends what is signed`, or `bent |token|` for what was signed already.
macro_rules! rows {
    ($($name:ident: $expected:expr, |$signer:ident| $bend:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let server = server().await;
            let mut $signer = Signer::new(&server);
            $bend;
            check(&server, "jane", &$signer.sign(), $expected).await;
        }
    )*};
}

macro_rules! bent_rows {
    ($($name:ident: $expected:expr, $user:literal, |$token:ident| $bend:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let server = server().await;
            let $token = Signer::new(&server).sign();
            check(&server, $user, $bend.as_ref(), $expected).await;
        }
    )*};
}

rows! {
    unbent_ok: None, |signer| signer.expires = 900;
    last_second_ok: None, |signer| signer.at -= 899 * SECOND;
    expired_wrong: Some(Refusal::Expired), |signer| signer.at -= 900 * SECOND;
    short_lifetime_expired_wrong: Some(Refusal::Expired), |signer| {
        signer.at -= 60 * SECOND;
        signer.expires = 60;
    };
    five_minutes_ahead_ok: None, |signer| signer.at += 300 * SECOND;
    six_minutes_ahead_wrong: Some(Refusal::NotYetValid), |signer| signer.at += 360 * SECOND;
    lifetime_of_an_hour_wrong: Some(Refusal::LifetimeTooLong), |signer| signer.expires = 3600;
    lifetime_of_901_seconds_wrong: Some(Refusal::LifetimeTooLong), |signer| signer.expires = 901;
    lifetime_of_zero_wrong: Some(Refusal::NotAToken), |signer| signer.expires = 0;
    host_wrong: Some(Refusal::WrongHost), |signer| signer.host = "db.example.com".to_owned();
    port_wrong: Some(Refusal::WrongPort), |signer| signer.port += 1;
    region_wrong: Some(Refusal::WrongRegion), |signer| signer.region = "us-east-1".to_owned();
    service_wrong: Some(Refusal::WrongService), |signer| signer.service = "rds".to_owned();
    user_wrong: Some(Refusal::WrongUser), |signer| signer.user = "bob".to_owned();
    user_of_other_case_wrong: Some(Refusal::WrongUser), |signer| signer.user = "Jane".to_owned();
    access_key_unknown_wrong: Some(Refusal::UnknownKey),
        |signer| signer.access_key_id = "AKIAOTHER".to_owned();
    secret_wrong: Some(Refusal::Signature), |signer| signer.secret = "Secret".to_owned();
    session_token_wrong: Some(Refusal::SessionToken),
        |signer| signer.session_token = Some("other".to_owned());
    session_token_missing: Some(Refusal::SessionToken), |signer| signer.session_token = None;
}

bent_rows! {
    signature_wrong: Some(Refusal::Signature), "jane", |token| match token.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &token[..token.len() - 1]),
    };
    signature_truncated: Some(Refusal::Signature), "jane", |token| &token[..token.len() - 4];
    signature_missing: Some(Refusal::NotAToken), "jane", |token| &token[..token.len() - 81];
    user_replaced: Some(Refusal::Signature), "bob", |token| token.replace("DBUser=jane", "DBUser=bob");
    user_added: Some(Refusal::NotAToken), "bob",
        |token| token.replace("DBUser=jane", "DBUser=jane&DBUser=bob");
    user_missing: Some(Refusal::WrongUser), "jane", |token| token.replace("DBUser=jane&", "");
    parameter_added: Some(Refusal::Signature), "jane", |token| format!("{token}&a=b");
    other_login_user: Some(Refusal::WrongUser), "bob", |token| token;
    action_wrong: Some(Refusal::NotAToken), "jane",
        |token| token.replace("Action=connect", "Action=DbConnect");
    algorithm_wrong: Some(Refusal::NotAToken), "jane", |token| token.replace("SHA256", "SHA512");
    signed_headers_wrong: Some(Refusal::NotAToken), "jane",
        |token| token.replace("rs=host", "rs=host%3Bdate");
    scheme_given: Some(Refusal::NotAToken), "jane", |token| format!("https://{token}");
    path_given: Some(Refusal::NotAToken), "jane", |token| token.replace("/?", "/app/?");
    user_info_given: Some(Refusal::NotAToken), "jane", |token| format!("a@{token}");
    port_missing: Some(Refusal::WrongPort), "jane", |token| token.replace(":5432/", "/");
    newline_at_the_end: Some(Refusal::NotAToken), "jane", |token| format!("{token}\n");
    blank_inside: Some(Refusal::NotAToken), "jane", |token| token.replace("&DBUser", " &DBUser");
    plus_raw: Some(Refusal::NotAToken), "jane", |token| token.replace("DBUser=jane", "DBUser=ja+ne");
    percent_alone: Some(Refusal::NotAToken), "jane", |token| token.replace("DBUser=jane", "DBUser=jane%");
    not_utf8: Some(Refusal::NotAToken), "jane", |token| token.replace("DBUser=jane", "DBUser=%FF");
    password_empty: Some(Refusal::NotAToken), "jane", |_token| "";
    password_ordinary: Some(Refusal::NotAToken), "jane", |_token| "hunter2";
}

#[tokio::test]
async fn user_outside_the_policy_wrong() {
    let server = server().await;
    let token = Signer { user: "eve".to_owned(), ..Signer::new(&server) }.sign();
    check(&server, "eve", &token, Some(Refusal::Policy)).await;
}

#[tokio::test]
async fn default_port_is_the_one_listened_on() {
    let server = PostgresServer::builder().start().await.unwrap();
    assert_eq!(server.signed_port(), server.port());
    let token = Signer { port: 5432, ..Signer::new(&server) }.sign();
    check(&server, "jane", &token, Some(Refusal::WrongPort)).await;
}

#[tokio::test]
async fn unencrypted_connection_wrong() {
    let server = server().await;
    let mut config = config(&server, &Signer::new(&server).sign());
    config.ssl_mode(SslMode::Disable);
    let message = "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"jane\", database \"app\", \
                   no encryption";
    assert_eq!(refusal(connect(&server, &config).await), ("28000".to_owned(), message.to_owned()));
    let attempts = server.attempts();
    assert_eq!(attempts[0].outcome, Outcome::Refused(Refusal::NoTls));
    assert_eq!((attempts[0].tls, attempts[0].password_len), (false, 0));
}

#[tokio::test]
async fn database_without_a_rule_wrong() {
    let server = PostgresServer::builder().database("orders").start().await.unwrap();
    let message =
        "no pg_hba.conf entry for host \"127.0.0.1\", user \"jane\", database \"app\", SSL encryption";
    let result = login(&server, &Signer::new(&server).sign()).await;
    assert_eq!(refusal(result), ("28000".to_owned(), message.to_owned()));
    assert_eq!(server.attempts()[0].outcome, Outcome::Refused(Refusal::NoRule));
}
