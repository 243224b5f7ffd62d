//! The owner of the credentials, as STS names it.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_sdk_sts::error::ProvideErrorMetadata;
use wrapper_core::text::sanitize_server_text;

use super::cause::{Cause, Code};

const LIMIT: Duration = Duration::from_secs(5);

/// The owner of the credentials.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) arn: String,
    pub(super) account: String,
}

/// Why STS named no owner.
#[derive(Debug)]
pub(super) enum IdentityError {
    /// STS rejects the credentials, and so does every database.
    Refused { fact: String, cause: Cause },
    /// STS could not be reached, or gave another answer.
    Unknown(String),
}

impl Identity {
    /// Asks STS in a region, or at the address that `AWS_ENDPOINT_URL_STS` or the profile gives.
    pub(super) async fn ask(credentials: Credentials, region: &str) -> Result<Self, IdentityError> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(LIMIT).build())
            .load()
            .await;
        let error = match aws_sdk_sts::Client::new(&config).get_caller_identity().send().await {
            Ok(answer) => {
                let shown = |text: Option<&str>| sanitize_server_text(text.unwrap_or("unknown"), None);
                return Ok(Self { arn: shown(answer.arn()), account: shown(answer.account()) });
            }
            Err(error) => error,
        };
        let text = sanitize_server_text(error.message().unwrap_or("no reason given"), None);
        let fact = |code: &str| format!("STS answered {code}: {text}");
        let refused = |code: &str, cause, remedy| IdentityError::Refused {
            fact: fact(code),
            cause: Cause::new(cause, remedy),
        };
        Err(match error.code() {
            Some(code @ ("ExpiredToken" | "ExpiredTokenException")) => refused(
                code,
                Code::CredentialsExpired,
                "renew the session (aws sso login, or assume the role again)",
            ),
            Some(code @ "InvalidClientTokenId") => refused(
                code,
                Code::CredentialsRefused,
                "the access key is deleted, inactive, or of another partition: check which credentials \
                 these are",
            ),
            // A wrong clock gets this code too, and then the credentials may be right.
            Some(code @ "SignatureDoesNotMatch") if !is_about_time(&text) => refused(
                code,
                Code::CredentialsRefused,
                "the secret key does not belong to the access key: copy both again",
            ),
            Some(code) => IdentityError::Unknown(fact(code)),
            None => IdentityError::Unknown(crate::failure::chain(&error)),
        })
    }
}

fn is_about_time(text: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|begin| text.starts_with(begin))
}
