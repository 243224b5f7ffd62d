//! Sources of the machine, each in a process of its own: they read the environment and the home
//! directory.

#![expect(clippy::unwrap_used, reason = "a failing step fails its test")]

mod imds;
mod roles;
mod sts;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use iam_token_provider::{AssumeRole, CredentialsFailure, DefaultChain, ErrorKind, IamTokenProvider};

use crate::sts::Sts;

const ROLE: &str = "arn:aws:iam::123456789012:role/orders";
const KEYS: &str = "aws_access_key_id = AKIAFILE\naws_secret_access_key = secret\n";
const KEYS_IN_ENVIRONMENT: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];

/// Run with an environment of its own by the tests below.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn load_in_an_environment() {
    let variable = |name| std::env::var(name).ok();
    let mut builder = DefaultChain::builder();
    if let Some(profile) = variable("TEST_PROFILE") {
        builder = builder.profile(profile);
    }
    if let Some(region) = variable("TEST_REGION") {
        builder = builder.region(region);
    }
    if let Some(role) = variable("TEST_ROLE") {
        let role =
            AssumeRole::new(role).with_external_id("tenant-7").with_duration(Duration::from_secs(1800));
        builder = builder.assume_role(role);
    }
    let source = builder.build().unwrap();
    match source.provide_credentials().await {
        Ok(credentials) => {
            let end = credentials.expiry().map(|end| end.duration_since(UNIX_EPOCH).unwrap().as_secs());
            println!(
                "key={} end={}",
                credentials.access_key_id(),
                end.map_or("none".to_owned(), |end| end.to_string())
            );
        }
        Err(error) => println!("error={}", text_of(&error)),
    }
}

fn text_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" | ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// A home directory with profile files.
struct Home(PathBuf);

impl Home {
    fn new(name: &str, config: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sources-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join(".aws")).unwrap();
        fs::write(path.join(".aws/config"), config).unwrap();
        Self(path)
    }

    fn run(&self, test: &str, environment: &[(&str, &str)]) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", test])
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", &self.0)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        said.into_owned()
    }

    #[track_caller]
    fn check(&self, environment: &[(&str, &str)], expected: &str) -> String {
        let said = self.run("load_in_an_environment", environment);
        assert!(said.contains(expected), "expected {expected:?}: {said}");
        said
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn end_in_the_environment_is_honoured() {
    let home = Home::new("end-in-environment", "");
    let with = |end| [&KEYS_IN_ENVIRONMENT[..], &[("AWS_CREDENTIAL_EXPIRATION", end)]].concat();
    home.check(&with("2100-01-01T00:00:00Z"), "key=AKIAENV end=4102444800");
    home.check(
        &with("2025-01-15T12:34:56Z"),
        "the AWS keys of the environment expired at 2025-01-15T12:34:56Z, as `AWS_CREDENTIAL_EXPIRATION` \
         says: renew them",
    );
    home.check(&with("soon"), "key=AKIAENV end=none");
    home.check(&with(""), "key=AKIAENV end=none");
}

/// Such a machine cannot build the SDK's HTTP client, which takes milliseconds elsewhere.
#[test]
#[cfg(target_os = "linux")]
fn keys_of_the_environment_build_no_http_client() {
    let home = Home::new("no-roots", &format!("[default]\n{KEYS}"));
    let without_roots = [("SSL_CERT_FILE", "/dev/null")];
    home.check(&[&KEYS_IN_ENVIRONMENT[..], &without_roots].concat(), "key=AKIAENV end=none");
    let said = home.check(&KEYS_IN_ENVIRONMENT, "key=AKIAENV end=none");
    assert!(!said.contains("AKIAFILE"), "{said}");
}

#[test]
fn keys_of_the_environment_that_are_blank_count_as_absent() {
    let home = Home::new("blank-keys", &format!("[default]\n{KEYS}"));
    for (key, secret) in [("", "secret"), ("AKIAENV", " ")] {
        let blank = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
        home.check(&blank, "key=AKIAFILE end=none");
    }
}

#[test]
fn end_in_a_profile_is_honoured() {
    for key in ["aws_session_expiration", "x_security_token_expires"] {
        for chosen in ["TEST_PROFILE", "AWS_PROFILE"] {
            let home = Home::new(key, &format!("[profile dev]\n{KEYS}{key} = 2100-01-01T02:00:00+0200\n"));
            home.check(&[(chosen, "dev")], "key=AKIAFILE end=4102444800");
            let home = Home::new(key, &format!("[profile dev]\n{KEYS}{key} = 2025-01-15T12:34:56+00:00\n"));
            home.check(
                &[(chosen, "dev")],
                &format!(
                    "the AWS keys of profile `dev` expired at 2025-01-15T12:34:56Z, as `{key}` says: \
                          renew them"
                ),
            );
        }
    }
}

#[test]
fn profile_that_does_not_exist_is_named_with_the_files() {
    let home = Home::new("no-profile", &format!("[profile dev]\nrole_arn = {ROLE}\nsource_profile = gone\n"));
    home.check(
        &[("TEST_PROFILE", "nope")],
        "profile `nope` not found in ~/.aws/config or ~/.aws/credentials: check its name",
    );
    home.check(&[("AWS_PROFILE", "nope")], "profile `nope` (AWS_PROFILE) not found in ~/.aws/config");
    home.check(&[("TEST_PROFILE", "dev")], "profile `gone` (source of `dev`) not found in ~/.aws/config");
    home.check(
        &[("TEST_PROFILE", "nope"), ("AWS_CONFIG_FILE", "/dev/null")],
        "profile `nope` not found in /dev/null or ~/.aws/",
    );
}

#[test]
fn chain_without_a_source_names_the_settings() {
    let home = Home::new("nothing", "");
    home.check(&[], "no AWS credentials found in the AWS default chain: set AWS_PROFILE or `awsProfile`");
}

#[test]
fn profile_without_credentials_names_what_is_missing() {
    let home = Home::new("empty-profile", "[profile dev]\nregion = us-east-2\n");
    home.check(&[("TEST_PROFILE", "dev")], "no AWS credentials found in profile `dev`: give it keys, a role");
}

#[test]
fn sso_profile_without_a_login_names_the_command() {
    let of_session = "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\n\
                      [sso-session corp]\nsso_region = us-east-1\nsso_start_url = \
                      https://corp.example/start\n";
    let legacy = "[profile dev]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n\
                  sso_account_id = 123456789012\nsso_role_name = r\n";
    let source = format!("[profile app]\nrole_arn = {ROLE}\nsource_profile = dev\n");
    for config in [of_session, legacy] {
        let home = Home::new("sso", &format!("{config}{source}"));
        for profile in ["dev", "app"] {
            for chosen in ["TEST_PROFILE", "AWS_PROFILE"] {
                home.check(
                    &[(chosen, profile), ("TEST_REGION", "eu-west-3")],
                    "profile `dev` is not logged in to SSO: run `aws sso login --profile dev`",
                );
            }
        }
    }
}

#[test]
fn login_profile_names_the_command() {
    let home = Home::new("login", "[profile dev]\nlogin_session = arn:aws:iam::123456789012:user/jane\n");
    let expected = match cfg!(feature = "login") {
        true => "profile `dev` is not logged in: run `aws login --profile dev`",
        false => "enable the feature `login`",
    };
    home.check(&[("TEST_PROFILE", "dev"), ("TEST_REGION", "eu-west-3")], expected);
}

/// Run with an environment of its own by the test below.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn edited_profile_in_an_environment() {
    let config = PathBuf::from(std::env::var("HOME").unwrap()).join(".aws/config");
    let answer =
        r#"{"Version":1,"AccessKeyId":"ASIAPROC","SecretAccessKey":"s","Expiration":"2100-01-01T00:00:00Z"}"#;
    let script = config.with_file_name("process");
    fs::write(&script, answer).unwrap();
    fs::write(&config, format!("[profile dev]\ncredential_process = cat {}\n", script.display())).unwrap();
    let source = DefaultChain::builder().profile("dev").build().unwrap();
    let key =
        async || source.provide_credentials().await.map(|credentials| credentials.access_key_id().to_owned());
    assert_eq!(key().await.unwrap(), "ASIAPROC");

    fs::remove_file(&script).unwrap();
    fs::write(&config, format!("[profile dev]\n{KEYS}")).unwrap();
    assert_eq!(key().await.unwrap(), "AKIAFILE");
    fs::write(&config, format!("[profile dev]\n{KEYS}").replace("AKIAFILE", "AKIANEXT")).unwrap();
    assert_eq!(key().await.unwrap(), "AKIANEXT");
}

#[test]
fn profile_that_is_edited_from_a_process_to_keys_is_read_again() {
    Home::new("edited", "").run("edited_profile_in_an_environment", &[]);
}

/// Run with an environment of its own by the test below.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn machine_in_an_environment() {
    let source = DefaultChain::builder().build().unwrap();
    let key =
        async || source.provide_credentials().await.map(|credentials| credentials.access_key_id().to_owned());
    assert_eq!(key().await.unwrap(), "ASIAMACHINE");
    assert_eq!(key().await.unwrap(), "ASIAMACHINE", "while the metadata service is down");
    let other = DefaultChain::builder().build().unwrap();
    assert!(other.provide_credentials().await.is_err(), "the metadata service is down");
}

#[test]
fn keys_of_a_machine_are_given_again_while_its_metadata_service_is_down() {
    let url = imds::give_keys_once();
    let environment = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url),
        ("AWS_REGION", "eu-west-3"),
    ];
    Home::new("machine", "").run("machine_in_an_environment", &environment);
}

#[tokio::test]
async fn chain_given_as_a_provider_keeps_its_own_words() {
    let chain = DefaultChain::builder().profile("no-such-profile-anywhere").build().unwrap();
    let provider =
        IamTokenProvider::builder().credentials_provider(SharedCredentialsProvider::new(chain)).build();
    let error =
        provider.unwrap().rds("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::NotConfigured));
    assert!(error.to_string().starts_with("profile `no-such-profile-anywhere` not found in "), "{error}");
}
