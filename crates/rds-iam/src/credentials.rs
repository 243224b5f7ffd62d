//! Credentials of the AWS default chain, and where they came from.

use std::{
    env,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError},
};

use tokio::time::timeout;
use wrapper_core::printable;

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

/// Loads credentials as a program with this profile would, and within this time.
pub(crate) async fn load(
    profile: Option<&str>,
    now: SystemTime,
    limit: Duration,
) -> Result<Credentials, NoCredentials> {
    // The SDK's HTTP client panics without any, even where the environment has the keys.
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(NoCredentials {
            reason: Reason::Failed,
            fact: "this machine trusts no certificate authority, without which the aws sdk does not start"
                .to_owned(),
            remedy: "install ca-certificates, or set SSL_CERT_FILE".to_owned(),
            cause: None,
        });
    }
    let source = source(profile);
    let loaded = async {
        let provider = wrapper_iam::default_chain(profile).await?;
        Some(provider.provide_credentials().await)
    };
    let Ok(loaded) = timeout(limit, loaded).await else {
        return Err(NoCredentials {
            reason: Reason::Failed,
            fact: format!("{source} gave no credentials within {limit:?}"),
            remedy: "try `aws sts get-caller-identity`, which goes to the same source".to_owned(),
            cause: None,
        });
    };
    let Some(loaded) = loaded else {
        return Err(NoCredentials::missing(&source, None));
    };
    match loaded {
        Ok(credentials) => match credentials.expiry() {
            Some(expiry) if expiry <= now => Err(NoCredentials {
                reason: Reason::Expired,
                fact: format!("the credentials of {source} have expired"),
                remedy: "renew the session (aws sso login, assume the role anew), and check the clock"
                    .to_owned(),
                cause: None,
            }),
            _ => Ok(credentials),
        },
        Err(error @ CredentialsError::CredentialsNotLoaded(_)) => {
            Err(NoCredentials::missing(&source, Some(described(&error))))
        }
        Err(error) => Err(NoCredentials {
            reason: Reason::Failed,
            fact: format!("{source} failed to give credentials"),
            remedy: "try `aws sts get-caller-identity`, and log in anew if the session has ended".to_owned(),
            cause: Some(described(&error)),
        }),
    }
}

/// The SDK's own words on one line, in which a program that was run may have its say.
fn described(error: &CredentialsError) -> String {
    let text = crate::failure::chain(error);
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "), None)
}

/// Where credentials are looked for first: a profile that is named, then the environment, as the default chain does.
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
        None => "the aws default chain".to_owned(),
    }
}

/// The end of an access key id, enough to tell which one it is.
pub(crate) fn last_four(access_key_id: &str) -> String {
    let skipped = access_key_id.chars().count().saturating_sub(4);
    format!("…{}", access_key_id.chars().skip(skipped).collect::<String>())
}

impl NoCredentials {
    fn missing(source: &str, cause: Option<String>) -> Self {
        Self {
            reason: Reason::Missing,
            fact: format!("{source} has no credentials"),
            remedy: match source.starts_with("profile") {
                true => "check its name (aws configure list-profiles), and log in where it asks for that (aws sso login)",
                false => "set AWS_PROFILE or AWS_ACCESS_KEY_ID, log in (aws sso login), or give the machine a role",
            }
            .to_owned(),
            cause,
        }
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
