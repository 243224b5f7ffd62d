//! Credentials of the AWS default chain, and where they came from.

use std::{
    env,
    error::Error as _,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use iam_token::Signer;
use tokio::time::timeout;
use wrapper_core::{Error, ErrorKind, events::CredentialsFailure, text::sanitize_server_text};
use wrapper_iam::{AssumeRole, DefaultChain, connect_error};

use crate::failure::Failure;

/// Says why no credentials could be loaded.
#[derive(Debug)]
pub(crate) struct CredentialsError {
    pub(crate) reason: Reason,
    pub(crate) fact: String,
    pub(crate) remedy: String,
    pub(crate) cause: Option<String>,
}

/// The reason for missing credentials, which decides about the code of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Expired,
    Failed,
    Missing,
}

/// Loads credentials as a program with these options would, within a time limit.
pub(crate) async fn load(
    settings: CredentialOptions<'_>,
    now: SystemTime,
    limit: Duration,
) -> Result<Credentials, CredentialsError> {
    // The SDK's HTTP client panics without any, even where the environment has the keys.
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(CredentialsError {
            reason: Reason::Failed,
            fact: "this machine has no trusted certificate authorities, which the AWS SDK needs".to_owned(),
            remedy: "install ca-certificates, or set SSL_CERT_FILE".to_owned(),
            cause: None,
        });
    }
    let source = settings.source().map_err(|error| CredentialsError::of(&error))?;
    let Ok(loaded) = timeout(limit, source.load()).await else {
        return Err(CredentialsError {
            reason: Reason::Failed,
            fact: format!("{} did not provide credentials within {limit:?}", self::source(settings.profile)),
            remedy: "try `aws sts get-caller-identity`, which uses the same source".to_owned(),
            cause: None,
        });
    };
    let credentials = loaded.map_err(|error| CredentialsError::of(&connect_error(&error)))?;
    match Signer::new(credentials.clone()).check(now) {
        Ok(()) => Ok(credentials),
        Err(error) if error.kind() == iam_token::ErrorKind::ExpiredCredentials => Err(CredentialsError {
            reason: Reason::Expired,
            fact: format!("the credentials of {} have expired", self::source(settings.profile)),
            remedy: "renew the session (aws sso login, or assume the role again), and check the clock"
                .to_owned(),
            cause: None,
        }),
        Err(error) => Err(CredentialsError::from_message(Reason::Failed, &error.to_string(), None)),
    }
}

/// Options that select the credentials, besides the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct CredentialOptions<'a> {
    pub(crate) profile: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) role: Option<AssumeRole>,
}

impl CredentialOptions<'_> {
    fn source(&self) -> Result<DefaultChain, Error> {
        let mut builder = DefaultChain::builder();
        if let Some(profile) = self.profile {
            builder = builder.profile(profile);
        }
        if let Some(region) = self.region {
            builder = builder.region(region);
        }
        if let Some(role) = &self.role {
            builder = builder.assume_role(role.clone());
        }
        builder.build().map_err(|error| connect_error(&error))
    }
}

/// Returns the SDK's error on one line, sanitized: it can hold the output of a
/// `credential_process`.
fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let text = crate::failure::chain(error);
    sanitize_server_text(&text.split_whitespace().collect::<Vec<_>>().join(" "), None)
}

/// Returns the first place where the default chain looks: a named profile, then the environment.
pub(crate) fn source(profile: Option<&str>) -> String {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    match profile {
        Some(profile) => format!("profile `{}`", profile.escape_debug()),
        None if is_set("AWS_ACCESS_KEY_ID") && is_set("AWS_SECRET_ACCESS_KEY") => {
            "AWS_ACCESS_KEY_ID in the environment".to_owned()
        }
        None if is_set("AWS_PROFILE") => {
            let profile = env::var("AWS_PROFILE").unwrap_or_default();
            format!("profile `{}` (AWS_PROFILE)", profile.escape_debug())
        }
        None => "the AWS default chain".to_owned(),
    }
}

impl CredentialsError {
    fn of(error: &Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::Credentials(CredentialsFailure::Expired) => Reason::Expired,
            ErrorKind::Credentials(CredentialsFailure::NotConfigured) => Reason::Missing,
            _ => Reason::Failed,
        };
        Self::from_message(reason, &error.to_string(), error.source().map(described))
    }

    /// Splits a message into the fact and the remedy.
    fn from_message(reason: Reason, message: &str, cause: Option<String>) -> Self {
        let general = "try `aws sts get-caller-identity`, and log in again if the session has expired";
        let (fact, remedy) = message.split_once(": ").unwrap_or((message, general));
        Self { reason, fact: fact.to_owned(), remedy: remedy.to_owned(), cause }
    }
}

impl From<CredentialsError> for Failure {
    fn from(none: CredentialsError) -> Self {
        let failure = Self::new(format!("{}: {}", none.fact, none.remedy));
        match none.cause {
            Some(cause) => failure.because(cause),
            None => failure,
        }
    }
}
