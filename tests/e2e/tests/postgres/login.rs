//! Logins by token at an RDS-like PostgreSQL server, right and wrong.

use e2e::{Fixture, USER, log_in};
use rds_testkit::{AccessKey, Refusal};

#[path = "../shared/login_cases.rs"]
mod cases;

use cases::refused;

#[tokio::test]
async fn session_token_of_1400_bytes_ok() {
    let key = AccessKey::new("ASIAEXAMPLE", "secret").with_session_token("Fwo/+=".repeat(240)).allow(USER);
    let rig = Fixture::start_with(|server| server.access_key(key)).await;

    assert_eq!(log_in(&rig.connector()).await.expect("is let in"), USER);
    assert!(rig.server.attempts()[0].password_len > 1_400);
}

#[tokio::test]
async fn grant_missing() {
    let rig = Fixture::start_with(|server| server.password_user("legacy", "pw")).await;
    let url = rig.url().replace(USER, "legacy");

    let error = log_in(&rig.builder(url).build().expect("builds")).await.expect_err("no rds_iam");

    refused(&rig, &error, Refusal::WrongPassword);
    assert!(error.to_string().contains("lacks the role rds_iam"), "{error}");
    assert_eq!(rig.tokens.stats().retries, 0);
}
