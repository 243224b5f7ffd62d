//! User and password out of Secrets Manager.

use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::time::timeout;
use wrapper_core::{Error, ErrorKind, Result, events::CredentialsFailure};
use wrapper_secrets::{DatabaseSecret, SecretProvider};

use crate::{
    connector::token_provider,
    target::{Target, configuration},
};

/// How long the service may take; its own limit is shorter.
const LIMIT: Duration = Duration::from_secs(15);

/// Returns the provider that the parameters describe, which were checked before.
pub(crate) fn provider(target: &Target, credentials: Credentials) -> Result<SecretProvider> {
    let id = target.secret.as_deref().ok_or_else(|| configuration("`secretId` is missing"))?;
    let property = |name, default| target.parameter(name).unwrap_or(default);
    let mut secrets =
        SecretProvider::builder(id).credentials(token_provider(credentials)?.credentials()).properties(
            property("secretUsernameProperty", "username"),
            property("secretPasswordProperty", "password"),
        );
    if let Some(profile) = target.parameter("awsProfile") {
        secrets = secrets.profile(profile);
    }
    if let Some(region) = target.parameter("secretRegion") {
        secrets = secrets.region(region);
    }
    if let Some(url) = target.parameter("secretEndpoint") {
        secrets = secrets.endpoint(url);
    }
    secrets.build()
}

/// Loads the secret, and sees that it is for the user that is configured.
pub(crate) async fn load(target: &Target, secrets: &SecretProvider) -> Result<DatabaseSecret> {
    let Ok(loaded) = timeout(LIMIT, secrets.secret()).await else {
        let kind = ErrorKind::Credentials(CredentialsFailure::TimedOut);
        return Err(Error::new(kind, "Secrets Manager gave no answer in time"));
    };
    let secret = loaded?;
    secrets.check_user(&target.user, &secret)?;
    Ok(secret)
}
