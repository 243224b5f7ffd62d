//! The plugin's parameters, right and wrong.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use wrapper_adapter::given_in_code;
use wrapper_core::{ConnectRequest, Error, Registry, Requirements, Result, Value, adapter::RawParameters};
use wrapper_iam::{IamFactory, IamTokenProvider};
use wrapper_secrets::{SecretProvider, SecretsFactory};

fn tokens() -> IamTokenProvider {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let builder = IamTokenProvider::builder();
    builder.credentials_provider(SharedCredentialsProvider::new(credentials)).build().expect("builds")
}

fn registry() -> Registry<()> {
    Registry::new().with(IamFactory::new(tokens())).with(SecretsFactory::with_credentials_of(tokens()))
}

fn build_with(registry: &Registry<()>, given: &RawParameters) -> Result<Requirements> {
    let host = "db.abc123.us-east-2.rds.amazonaws.com";
    let (plugins, _) = registry.build(given, &[ConnectRequest::new(host, 5432, "")])?;
    Ok(Requirements::of(&plugins))
}

/// Builds as a connection string would.
fn build(query: &str) -> Result<Requirements> {
    let mut given = RawParameters::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').expect("a pair");
        given.configure(name, value)?;
    }
    build_with(&registry(), &given)
}

#[track_caller]
fn wrong(query: &str, part: &str) -> Error {
    let error = build(query).expect_err("does not fit");
    assert!(error.to_string().contains(part), "{error} should say {part}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    error
}

#[test]
fn both_codes_mean_the_plugin_and_it_brings_user_and_password_over_verified_tls() {
    for code in ["awsSecretsManager", "secretsManager"] {
        let needs =
            build(&format!("plugins={code}&secretId=prod/app&secretRegion=us-east-2")).expect("builds");
        assert_eq!(needs, Requirements::SECRET);
        assert!(needs.verified_tls && !needs.cleartext_password);
    }
}

#[test]
fn parameters_ok() {
    for query in [
        "secretId=arn:aws:secretsmanager:us-east-2:123456789012:secret:prod/app-AbCdEf",
        "secretId=rds!db-1f&secretRegion= US-East-2 &secretExpirationSec=60",
        "secretId=a&secretRegion=us-east-2&secretUsernameProperty=u&secretPasswordProperty=p",
        "secretId=a&secretRegion=us-east-2&secretRotationRetryTimeoutMs=20000",
        "secretId=a&secretRegion=us-east-2&secretEndpoint=https://secretsmanager-fips.us-east-2.amazonaws.com",
    ] {
        build(&format!("plugins=awsSecretsManager&{query}")).expect(query);
    }
}

#[test]
fn parameters_wrong() {
    wrong("plugins=awsSecretsManager", "plugin `awsSecretsManager` needs `secretId`");
    wrong("secretId=a", "`secretId` belongs to plugin `awsSecretsManager`");
    wrong("awsProfile=dev", "`awsProfile` belongs to the plugins `iam` and `awsSecretsManager`");
    wrong(
        "plugins=iam,secretsManager&secretId=a",
        "plugins `awsSecretsManager` and `iam` exclude each other",
    );
    wrong("plugins=awsSecretsManager,secretsManager", "is named twice");
    for (rest, part) in [
        ("", "set `secretRegion`"),
        ("&secretRegion=mars", "invalid `secretRegion`"),
        (
            "&secretRegion=us-east-2&secretExpirationSec=59",
            "`secretExpirationSec` must be a whole number from 60",
        ),
        ("&secretRegion=us-east-2&secretRotationRetryTimeoutMs=-1", "must be a whole number from 0"),
        ("&secretRegion=us-east-2&secretEndpoint=http://127.0.0.1:1/hunter2", "set any other in code"),
        ("&secretRegion=us-east-2&secretUsernameProperty=", "must be text that is not empty"),
        ("&secretRegion=us-east-2&awsProfile=dev", "the program has its own credentials"),
    ] {
        wrong(&format!("plugins=awsSecretsManager&secretId=prod/app{rest}"), part);
    }
    wrong("plugins=awsSecretsManager&secretId=hunter2 {}&secretRegion=us-east-2", "the name or the ARN");
}

#[test]
fn names_of_the_family_lead_to_ours() {
    for (name, meant) in [
        ("secretsManagerSecretId", "secretId"),
        ("secretsManagerRegion", "secretRegion"),
        ("secrets_manager_endpoint", "secretEndpoint"),
        ("secretsManagerExpirationTimeSec", "secretExpirationSec"),
        ("secret_rotation_retry_timeout_ms", "secretRotationRetryTimeoutMs"),
        ("secretID", "secretId"),
    ] {
        let given = given_in_code(&registry(), [(name.to_owned(), Value::from("x"))]);
        let error = given.expect_err("unknown").to_string();
        assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
    }
}

#[test]
fn endpoint_of_the_program_may_be_any() {
    let mut given = RawParameters::new();
    for (name, value) in [("plugins", "secretsManager"), ("secretId", "a"), ("secretRegion", "us-east-2")] {
        given.configure(name, value).expect("fits");
    }
    given.set("secretEndpoint", "http://127.0.0.1:1").expect("fits");

    assert!(build_with(&registry(), &given).is_ok());
}

#[test]
fn parameters_beside_a_secret_of_the_program_wrong() {
    let secrets = SecretProvider::builder("a").region("us-east-2").credentials(tokens().credentials());
    let registry = Registry::new().with(SecretsFactory::new(secrets.build().expect("builds")));
    let mut given = RawParameters::new();
    given.configure("plugins", "secretsManager").expect("fits");
    assert!(build_with(&registry, &given).is_ok());

    given.configure("secretId", "b").expect("fits");
    let error = build_with(&registry, &given).expect_err("two secrets").to_string();

    assert!(error.contains("`secretId` conflicts with the secret that the program provides"), "{error}");
}
