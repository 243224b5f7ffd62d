//! No secret in anything that is said, at TRACE, by any crate.

use std::process::Stdio;

use e2e::{Fixture, HOST, USER, forms};
use rds_testkit::{AccessKey, Fault};
use rds_wrapper::iam::{Clock, SystemClock};
use tokio::process::Command;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "FwoGZXIvYXdzEBYaDHexample/+==IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMiJHMEUC";
const URL_PASSWORD: &str = "hunter2-in-the-url";

#[test]
fn forms_of_a_secret_are_all_looked_for() {
    assert_eq!(forms("a/"), ["a/", "a%2F", "a%2f", "97, 47", "612f"]);
}

#[tokio::test]
async fn no_secret_is_logged_at_trace() {
    let environment = [
        ("AWS_ACCESS_KEY_ID", "ASIATRACED"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", SESSION),
    ];
    nothing_is_said(&environment, &[]).await;
}

#[tokio::test]
async fn no_secret_of_a_credentials_file_is_logged_at_trace() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("traced_credentials");
    let profile = format!(
        "[default]\naws_access_key_id = ASIATRACED\naws_secret_access_key = {SECRET}\naws_session_token = \
         {SESSION}\n"
    );
    std::fs::write(&file, profile).expect("is written");
    let path = file.to_str().expect("a plain path");
    // Keys of the environment are read without the SDK's own chain.
    nothing_is_said(&[("AWS_SHARED_CREDENTIALS_FILE", path)], &["aws_config"]).await;
}

/// Runs connects with these variables, and looks for secrets in what all crates say, among them
/// these.
async fn nothing_is_said(environment: &[(&str, &str)], crates: &[&str]) {
    let key = AccessKey::new("ASIATRACED", SECRET).with_session_token(SESSION).allow(USER);
    let rig = Fixture::start_with(|server| server.access_key(key).clock(|| SystemClock.now())).await;
    let url = |user: &str| {
        let (port, ca) = (rig.server.port(), rig.server.ca_file().display());
        format!("postgres://{user}@{HOST}:{port}/app?hostaddr=127.0.0.1&sslrootcert={ca}&plugins=iam")
    };
    // The first login is refused, with the token repeated in the server's words.
    rig.server.inject(Fault::EchoPassword);

    let output = Command::new(env!("CARGO_BIN_EXE_traced"))
        .args([url(USER), url(&format!("{USER}:{URL_PASSWORD}")), url("stranger"), url(USER) + "&nonsense=1"])
        .env_clear()
        .envs(environment.iter().copied())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program runs");

    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let ours = ["tokio_postgres", "wrapper_core", "iam_token_provider", "…ACED", "[password]", "an event"];
    for speaker in ours.iter().chain(crates) {
        assert!(said.contains(speaker), "nothing was heard of {speaker}: {said}");
    }
    assert!(said.contains("outcome=\"connected\"") && rig.server.accepted() >= 1, "{said}");
    for secret in [SECRET, SESSION, URL_PASSWORD, "X-Amz-Signature", "X-Amz-Security-Token"] {
        for form in forms(secret) {
            let found = said.find(&form).map(|at| &said[at.saturating_sub(200)..]);
            assert!(found.is_none(), "a secret was said: {:.600}", found.unwrap_or_default());
        }
    }
}
