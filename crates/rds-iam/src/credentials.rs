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

/// Says why there are no credentials to sign with.
#[derive(Debug)]
pub(crate) struct NoCredentials {
    pub(crate) reason: Reason,
    pub(crate) fact: String,
    pub(crate) remedy: String,
    pub(crate) cause: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Expired,
    Failed,
    Missing,
}

/// Loads credentials as a program with these settings would, and within this time.
pub(crate) async fn load(
    settings: Settings<'_>,
    now: SystemTime,
    limit: Duration,
) -> Result<Credentials, NoCredentials> {
    // The SDK's HTTP client panics without any, even where the environment has the keys.
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(NoCredentials {
            reason: Reason::Failed,
            fact: "this machine trusts no certificate authority, without which the AWS SDK does not start"
                .to_owned(),
            remedy: "install ca-certificates, or set SSL_CERT_FILE".to_owned(),
            cause: None,
        });
    }
    let source = settings.source().map_err(|error| NoCredentials::of(&error))?;
    let Ok(loaded) = timeout(limit, source.load()).await else {
        return Err(NoCredentials {
            reason: Reason::Failed,
            fact: format!("{} gave no credentials within {limit:?}", self::source(settings.profile)),
            remedy: "try `aws sts get-caller-identity`, which goes to the same source".to_owned(),
            cause: None,
        });
    };
    let credentials = loaded.map_err(|error| NoCredentials::of(&connect_error(&error)))?;
    match Signer::new(credentials.clone()).check(now) {
        Ok(()) => Ok(credentials),
        Err(error) if error.kind() == iam_token::ErrorKind::ExpiredCredentials => Err(NoCredentials {
            reason: Reason::Expired,
            fact: format!("the credentials of {} have expired", self::source(settings.profile)),
            remedy: "renew the session (aws sso login, assume the role anew), and check the clock".to_owned(),
            cause: None,
        }),
        Err(error) => Err(NoCredentials::told(Reason::Failed, &error.to_string(), None)),
    }
}

/// What decides about the credentials, beside the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) profile: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) role: Option<AssumeRole>,
}

impl Settings<'_> {
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

/// Returns the SDK's own words on one line, in which a program that was run may have its say.
fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let text = crate::failure::chain(error);
    sanitize_server_text(&text.split_whitespace().collect::<Vec<_>>().join(" "), None)
}

/// Returns where credentials are looked for first: a profile that is named, then the environment,
/// as the default chain does.
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

impl NoCredentials {
    fn of(error: &Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::Credentials(CredentialsFailure::Expired) => Reason::Expired,
            ErrorKind::Credentials(CredentialsFailure::NotConfigured) => Reason::Missing,
            _ => Reason::Failed,
        };
        Self::told(reason, &error.to_string(), error.source().map(described))
    }

    /// Takes a message apart into what is wrong and what to do.
    fn told(reason: Reason, message: &str, cause: Option<String>) -> Self {
        let general = "try `aws sts get-caller-identity`, and log in anew if the session has ended";
        let (fact, remedy) = message.split_once(": ").unwrap_or((message, general));
        Self { reason, fact: fact.to_owned(), remedy: remedy.to_owned(), cause }
    }
}

impl From<NoCredentials> for Failure {
    fn from(none: NoCredentials) -> Self {
        let failure = Self::new(format!("{}: {}", none.fact, none.remedy));
        match none.cause {
            Some(cause) => failure.because(cause),
            None => failure,
        }
    }
}
