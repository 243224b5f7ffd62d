//! Sources of the default chain, in a process of their own, because they read the environment.

use std::{sync::Arc, time::Duration};

use e2e::{Fixture, HOST, USER, log_in};
use rds_testkit::{AccessKey, Fault, ServerError};
use rds_wrapper::{
    ErrorKind, IamFactory, IamTokenProvider,
    iam::{Clock, SystemClock},
    pg, plugins,
};
use token_cache::ManualClock;
use tokio::process::Command;

async fn connect(rig: &Fixture, arguments: &[&str], environment: &[(&str, &str)]) -> String {
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

async fn rig() -> Fixture {
    let keys = ["AKIAENV", "AKIADEV"].map(|id| AccessKey::new(id, "secret").allow(USER));
    let [environment, profile] = keys;
    Fixture::start_with(|server| {
        server.access_key(environment).access_key(profile).clock(|| SystemClock.now())
    })
    .await
}

/// The access key of the one login that there was.
#[track_caller]
fn used(rig: &Fixture, said: &str) -> String {
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

/// Run with an environment of its own by the test below.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn rotation_in_an_environment() {
    let file = std::env::var("AWS_SHARED_CREDENTIALS_FILE").expect("is set");
    let write = |id: &str| {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = secret\n");
        std::fs::write(&file, text).expect("the file can be written");
    };
    let rig = rig().await;
    let clock = ManualClock::at(SystemClock.now() - Duration::from_secs(300));
    let tokens = IamTokenProvider::builder().clock(Arc::new(clock.clone())).build().expect("builds");
    let connector = pg::Connector::builder(plugins().with(IamFactory::new(tokens)))
        .connection_string(rig.url())
        .resolver(e2e::local())
        .parameter("sslrootcert", rig.server.ca_file().to_string_lossy().into_owned())
        .build()
        .expect("builds");
    let error = log_in(&connector).await.expect_err("no file, no keys");
    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error}");

    write("AKIAENV");
    log_in(&connector).await.expect("the first keys are good");
    write("AKIADEV");
    clock.advance(Duration::from_secs(120));
    rig.server.inject(Fault::Refuse(ServerError::pam_refused(USER)));
    log_in(&connector).await.expect("the second keys are good");

    let used: Vec<_> = rig.server.attempts().into_iter().map(|attempt| attempt.access_key_id).collect();
    assert_eq!(used, ["AKIAENV", "AKIAENV", "AKIADEV"].map(|id| Some(id.to_owned())));
}

#[tokio::test]
async fn file_is_read_again_by_a_running_process() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("file_is_read_again_{}", std::process::id()));

    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--ignored", "--exact", "credentials::rotation_in_an_environment"])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_ACCESS_KEY_ID")
        .output()
        .await
        .expect("the program runs");

    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    std::fs::remove_file(file).expect("the file was written");
}

/// Answers one caller as STS does, and gives the text of the request.
fn sts(listener: std::net::TcpListener) -> std::thread::JoinHandle<String> {
    use std::io::{Read, Write};

    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the program calls");
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        // The request's body ends with the version of the protocol or with a parameter that sorts
        // behind it.
        while !request.windows(15).any(|part| part == b"RoleSessionName") {
            let read = stream.read(&mut buffer).expect("the program sends");
            request.extend_from_slice(&buffer[..read]);
        }
        let body = "<AssumeRoleResponse \
                    xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIAASSUMED</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).expect("the program reads");
        String::from_utf8_lossy(&request).into_owned()
    })
}

/// A role as parameters name it.
const ROLE: &str = "&assumeRoleArn=arn:aws:iam::123456789012:role/orders&assumeRoleExternalId=tenant-7\
                    &assumeRoleSessionName=e2e&assumeRoleDurationSec=900";

/// A server, also named `localhost`, that lets the role in and nobody else.
async fn role_rig() -> Fixture {
    let assumed = AccessKey::new("ASIAASSUMED", "secret").with_session_token("session").allow(USER);
    let clock = || SystemClock.now();
    Fixture::start_with(|server| server.host("localhost").access_key(assumed).clock(clock)).await
}

/// Runs what takes a role in an environment whose STS is on this machine, and checks what STS was
/// asked.
async fn with_sts(run: impl AsyncFnOnce(&[(&str, &str)])) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
    let asked = sts(listener);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_STS", &*endpoint),
    ];

    run(&environment).await;

    let asked = asked.join().expect("was asked");
    let parts = [
        "/us-east-2/sts/",
        "Credential=AKIAENV/",
        "ExternalId=tenant-7",
        "DurationSeconds=900",
        "RoleSessionName=e2e",
    ];
    for part in parts {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[tokio::test]
async fn role_of_the_parameters_logs_in() {
    let rig = role_rig().await;

    with_sts(async |environment| {
        let said = connect(&rig, &["--parameters", ROLE], environment).await;

        assert_eq!(used(&rig, &said), "ASIAASSUMED");
        assert!(said.contains("provider=\"assumed role\""), "{said}");
    })
    .await;
}

/// Run with an environment of its own by the test below.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn sqlx_pool_in_an_environment() {
    let rig = role_rig().await;
    let url =
        format!("postgres://{USER}@localhost:{}/app?plugins=iam&iamHost={HOST}{ROLE}", rig.server.port());
    let pool = wrapper_sqlx::PgFreshPool::builder()
        .connection_string(url)
        .parameter("tlsServerName", "localhost")
        .root_certificates(rig.server.ca_pem())
        .build()
        .await
        .expect("builds");

    drop(pool.pool().acquire().await.expect("is let in"));

    assert_eq!(used(&rig, "nothing"), "ASIAASSUMED");
}

#[tokio::test]
async fn sqlx_pool_signs_with_the_role_of_its_parameters() {
    with_sts(async |environment| {
        let output = Command::new(std::env::current_exe().expect("a test is a program"))
            .args(["--ignored", "--exact", "credentials::sqlx_pool_in_an_environment"])
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().copied())
            .output()
            .await
            .expect("the program runs");

        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn credentials_missing_are_explained() {
    let rig = rig().await;

    let said = connect(&rig, &[], &[]).await;

    assert!(said.contains("the AWS default chain") && said.contains("AWS_PROFILE"), "{said}");
    assert!(rig.server.attempts().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn profile_missing_is_named() {
    let rig = rig().await;

    let said = connect(&rig, &["--profile", "nope"], &[]).await;

    assert!(said.contains("profile `nope`"), "{said}");
    assert!(rig.server.attempts().is_empty(), "nothing was sent");
}
