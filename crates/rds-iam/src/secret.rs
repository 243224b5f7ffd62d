//! User and password out of Secrets Manager.

use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::time::timeout;
use wrapper_core::{
    Error, ErrorKind, Options, Parameter, Result, adapter::RawParameters, events::CredentialsFailure,
};
use wrapper_secrets::{DatabaseSecret, SECRETS_PARAMETERS, SecretProvider, SecretsFactory};

use crate::{
    connector::token_provider,
    target::{Target, configuration},
};

/// How long the service may take; the limit of the provider itself is shorter.
const LIMIT: Duration = Duration::from_secs(15);

/// Returns the provider that the parameters describe.
pub(crate) fn provider(target: &Target, credentials: Credentials) -> Result<SecretProvider> {
    check(target)?;
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

/// Checks the parameters as the plugin does. Without a connector for the engine nothing else checks
/// them, and credentials would be sent to any host that `secretEndpoint` names.
fn check(target: &Target) -> Result<()> {
    let mut given = RawParameters::new();
    for name in SECRETS_PARAMETERS.iter().map(Parameter::name).filter(|name| name.starts_with("secret")) {
        if let Some(value) = target.parameter(name) {
            given.configure(name, value)?;
        }
    }
    let options = Options::read(&given, SECRETS_PARAMETERS)?;
    SecretsFactory::default().provider(&options).map(drop)
}

/// Loads the secret, and checks that it is for the configured user.
pub(crate) async fn load(target: &Target, secrets: &SecretProvider) -> Result<DatabaseSecret> {
    let Ok(loaded) = timeout(LIMIT, secrets.secret()).await else {
        let kind = ErrorKind::Credentials(CredentialsFailure::TimedOut);
        return Err(Error::new(kind, "Secrets Manager did not answer in time"));
    };
    let secret = loaded?;
    secrets.check_user(&target.user, &secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the feature `mysql` no connector has checked them.
    #[test]
    fn parameters_of_a_secret_are_checked_for_both_engines() {
        for (more, says) in [
            ("secretEndpoint=http://127.0.0.1:1", "`secretEndpoint` in a connection string must be"),
            ("secretUsernameProperty=%20", "`secretUsernameProperty` must be"),
            ("secretExpirationSec=1", "`secretExpirationSec` must be"),
        ] {
            for scheme in ["mysql", "postgres"] {
                let text = format!(
                    "{scheme}://db.example/app?plugins=secretsManager&secretId=prod/app\
                     &secretRegion=us-east-2&{more}"
                );
                let target = Target::read(&text, None).expect("is a target");
                let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");

                let error = provider(&target, credentials).expect_err("is not Secrets Manager at AWS");

                assert!(error.to_string().starts_with(says), "{scheme}: {error}");
            }
        }
    }
}
