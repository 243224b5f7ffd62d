//! Sources of the default chain, in a process of their own, because they read the environment.

use e2e::{HOST, Rig, USER};
use rds_testkit::AccessKey;
use rds_wrapper::{Clock, SystemClock};
use tokio::process::Command;

async fn connect(rig: &Rig, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let (port, ca) = (rig.server.port(), rig.server.ca_file().display());
    let url = format!("postgres://{USER}@{HOST}:{port}/app?hostaddr=127.0.0.1&sslrootcert={ca}&plugins=iam");
    let output = Command::new(env!("CARGO_BIN_EXE_traced"))
        .args(arguments)
        .arg(url)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .output()
        .await
        .expect("the program runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn rig() -> Rig {
    let keys = ["AKIAENV", "AKIADEV"].map(|id| AccessKey::new(id, "secret").allow(USER));
    let [environment, profile] = keys;
    Rig::start_with(|server| server.access_key(environment).access_key(profile).clock(|| SystemClock.now()))
        .await
}

/// The access key of the one login that there was.
#[track_caller]
fn used(rig: &Rig, said: &str) -> String {
    let attempts = rig.server.attempts();
    assert_eq!((attempts.len(), rig.server.accepted()), (1, 1), "{said}");
    attempts[0].access_key_id.clone().expect("a token")
}

#[tokio::test]
async fn environment_ok() {
    let rig = rig().await;

    let said =
        connect(&rig, &[], &[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "secret")]).await;

    assert_eq!(used(&rig, &said), "AKIAENV");
}

#[tokio::test]
async fn profile_wins_over_the_environment() {
    let rig = rig().await;
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile_wins_over_the_environment");
    let text = "[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = secret\n";
    std::fs::write(&file, text).expect("the file can be written");
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().expect("a plain path")),
    ];

    let said = connect(&rig, &["--profile", "dev"], &environment).await;

    assert_eq!(used(&rig, &said), "AKIADEV");
}

#[tokio::test]
async fn credentials_missing_are_explained() {
    let rig = rig().await;

    let said = connect(&rig, &[], &[]).await;

    assert!(said.contains("the aws default chain") && said.contains("AWS_PROFILE"), "{said}");
    assert!(rig.server.attempts().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn profile_missing_is_named() {
    let rig = rig().await;

    let said = connect(&rig, &["--profile", "nope"], &[]).await;

    assert!(said.contains("profile `nope`"), "{said}");
    assert!(rig.server.attempts().is_empty(), "nothing was sent");
}
