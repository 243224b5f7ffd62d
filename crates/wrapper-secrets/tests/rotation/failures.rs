//! A service that fails, and secrets that are none.

use std::sync::Arc;

use aws_credential_types::Credentials;
use rds_testkit::{SecretsError, SecretsServer};
use wrapper_core::{ErrorKind, adapter::Wrapper, events::CredentialsFailure};
use wrapper_iam::IamTokenProvider;
use wrapper_secrets::{SecretProvider, SecretsPlugin};

use crate::*;

/// One row: what is done to the service, and kind and part of the error.
macro_rules! failures {
    ($($name:ident: $break_it:expr => $kind:expr, $part:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let actors = Actors::new().await;
            let break_it: fn(&SecretsServer) = $break_it;
            break_it(&actors.service);

            let error = log_in(&actors.connector(0)).await.expect_err("there is no secret");

            let text = format!("{error} {error:#} {error:?}");
            assert_eq!(error.kind(), $kind, "{text}");
            assert!(text.contains($part), "{text} should say {}", $part);
            assert!(!text.contains("hunter2") && actors.database.logins() == 0, "{text}");
        }
    )*};
}

const FAILED: ErrorKind = ErrorKind::Credentials(CredentialsFailure::Failed);

failures! {
    secret_missing: |service| { service.delete(ID); }
        => ErrorKind::Credentials(CredentialsFailure::NotConfigured),
            "no such secret: secret `prod/app` in us-east-2";
    permission_missing: |service| service.fail(9, SecretsError::access_denied())
        => FAILED, "\"Action\":\"secretsmanager:GetSecretValue\"";
    permission_of_the_key_missing: |service| service.fail(9, SecretsError::kms_denied())
        => FAILED, "\"Action\":\"kms:Decrypt\"";
    service_throttles_wrong: |service| service.fail(9, SecretsError::throttled())
        => ErrorKind::Throttled, "throttles calls";
    service_refuses_the_key_wrong: |service| service.fail(9, SecretsError::new(400,
        "UnrecognizedClientException", "The security token included in the request is invalid."))
        => FAILED, "refused AWS credentials";
    secret_binary_wrong: |service| { service.put_binary(ID, b"hunter2".to_vec()); }
        => FAILED, "is binary: store user and password as text";
    secret_not_json_wrong: |service| { service.put(ID, "hunter2"); } => FAILED, "is not JSON";
    password_missing: |service| { service.put(ID, r#"{"username":"app","pw":"hunter2"}"#); }
        => FAILED, "lacks property `password` (named by `secretPasswordProperty`)";
    password_empty_wrong: |service| { service.put(ID, json("hunter2", "")); } => FAILED, "is empty";
    user_with_a_control_character_wrong: |service| { service.put(ID, json(r"hunter2\u0000", "p")); }
        => FAILED, "contains a control character";
}

#[tokio::test]
async fn unreachable_service_is_named_in_the_error() {
    let actors = Actors::new().await;
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let url = format!("http://{}", port.expect("a free port"));
    let key = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let aws = IamTokenProvider::builder().credentials_provider(SharedCredentialsProvider::new(key));
    let secrets = SecretProvider::builder(ID)
        .region("us-east-2")
        .endpoint(url)
        .credentials(aws.build().expect("builds").credentials())
        .build()
        .expect("builds");

    let plugin = SecretsPlugin::new(secrets);
    let connector = Wrapper::new(actors.database.clone(), vec![Arc::new(plugin)]);
    let error = log_in(&connector).await.expect_err("cannot be reached");

    assert_eq!(error.kind(), FAILED, "{error:?}");
    assert!(
        error.to_string().contains("Secrets Manager in us-east-2 cannot be reached; check first"),
        "{error}"
    );
}
