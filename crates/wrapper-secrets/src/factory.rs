//! The factory of the plugin, and its parameters.

use std::{sync::Arc, time::Duration};

use iam_token_provider::CredentialsSource;
use wrapper_core::{
    BuildContext, Error, ErrorKind, Factory, Options, Parameter, ParameterKind, Plugin, Result,
};
use wrapper_iam::{
    ASSUME_ROLE_ARN, ASSUME_ROLE_DURATION_SEC, ASSUME_ROLE_EXTERNAL_ID, ASSUME_ROLE_SESSION_NAME,
    AWS_PROFILE, IamPlugin, IamTokenProvider, aws_profile, token_provider,
};

use crate::{SecretProvider, SecretsPlugin, endpoint};

const SECRET_ID: Parameter<String> = Parameter::typed(
    "secretId",
    ParameterKind::Text,
    "none; needed",
    "The name or the ARN of the secret that holds user and password.",
)
.aliases(&["secretsManagerSecretId", "secrets_manager_secret_id", "secretName", "secretArn"]);

const SECRET_REGION: Parameter<String> = Parameter::typed(
    "secretRegion",
    ParameterKind::Text,
    "the region of an ARN",
    "The region of the secret; needed unless `secretId` is an ARN.",
)
.aliases(&["secretsManagerRegion", "secrets_manager_region"]);

const SECRET_ENDPOINT: Parameter<String> = Parameter::typed(
    "secretEndpoint",
    ParameterKind::Text,
    "the region's own",
    "The URL of the service instead of the region's own, such as a VPC endpoint's; a connection string can \
     only name Secrets Manager at AWS, over https.",
)
.aliases(&["secretsManagerEndpoint", "secrets_manager_endpoint"]);

const SECRET_EXPIRATION_SEC: Parameter<u64> = Parameter::typed(
    "secretExpirationSec",
    ParameterKind::Integer { min: 60, max: 31_536_000 },
    "`870`",
    "Seconds after which the secret is renewed; it stays in use while the service is down.",
)
.aliases(&[
    "secretsManagerExpirationTimeSec",
    "secretsManagerExpirationSec",
    "secrets_manager_expiration",
    "secretExpiration",
]);

const SECRET_USERNAME_PROPERTY: Parameter<String> = Parameter::typed(
    "secretUsernameProperty",
    ParameterKind::Text,
    "`username`",
    "The property of the secret that holds the user.",
)
.aliases(&["secretsManagerSecretUsernameProperty", "secrets_manager_secret_username_key"]);

const SECRET_PASSWORD_PROPERTY: Parameter<String> = Parameter::typed(
    "secretPasswordProperty",
    ParameterKind::Text,
    "`password`",
    "The property of the secret that holds the password.",
)
.aliases(&["secretsManagerSecretPasswordProperty", "secrets_manager_secret_password_key"]);

const SECRET_ROTATION_RETRY_TIMEOUT_MS: Parameter<u64> = Parameter::typed(
    "secretRotationRetryTimeoutMs",
    ParameterKind::Integer { min: 0, max: 600_000 },
    "`0`",
    "Milliseconds for which a refused login is repeated, with one call of the service after 1, 2, 4 and \
     every 8 s for all; it bridges the window of a rotation in which the database has the new password and \
     the secret has not.",
)
.aliases(&["secretsManagerConnectRetryTimeoutMs", "secret_rotation_retry_timeout_ms"]);

/// The parameters of the plugin `awsSecretsManager`.
pub const SECRETS_PARAMETERS: &[Parameter] = &[
    SECRET_ID.untyped(),
    SECRET_REGION.untyped(),
    SECRET_ENDPOINT.untyped(),
    SECRET_EXPIRATION_SEC.untyped(),
    SECRET_USERNAME_PROPERTY.untyped(),
    SECRET_PASSWORD_PROPERTY.untyped(),
    SECRET_ROTATION_RETRY_TIMEOUT_MS.untyped(),
    AWS_PROFILE,
    ASSUME_ROLE_ARN,
    ASSUME_ROLE_SESSION_NAME,
    ASSUME_ROLE_EXTERNAL_ID,
    ASSUME_ROLE_DURATION_SEC,
];

/// Creates the plugin `awsSecretsManager`, with the alias `secretsManager`.
///
/// The default uses credentials of the AWS default chain, and each connector loads its own secret.
/// To share one, pass the same [`SecretProvider`] to several connectors.
#[derive(Clone, Debug, Default)]
pub struct SecretsFactory {
    tokens: Option<IamTokenProvider>,
    secrets: Option<SecretProvider>,
}

impl SecretsFactory {
    /// Creates a factory whose plugins share the given secret.
    pub fn new(secrets: SecretProvider) -> Self {
        Self { secrets: Some(secrets), tokens: None }
    }

    /// Creates a factory whose plugins call Secrets Manager with the credentials of this provider.
    pub fn with_credentials_of(tokens: IamTokenProvider) -> Self {
        Self { tokens: Some(tokens), secrets: None }
    }

    /// Returns the provider that the options describe, for programs that connect without the
    /// plugin.
    ///
    /// # Errors
    ///
    /// A configuration or region error that names the parameter.
    pub fn provider(&self, options: &Options) -> Result<SecretProvider> {
        if let Some(secrets) = &self.secrets {
            let ours = SECRETS_PARAMETERS.iter().map(Parameter::name);
            // The retry timeout is the plugin's own and not a setting of the secret.
            let mut given = ours.filter(|name| *name != SECRET_ROTATION_RETRY_TIMEOUT_MS.name());
            return match given.find(|name| options.contains(name)) {
                Some(name) => Err(configuration(format!(
                    "`{name}` conflicts with the secret that the program provides: remove it"
                ))),
                None => Ok(secrets.clone()),
            };
        }
        let id = options.get(&SECRET_ID).ok_or_else(|| {
            configuration(format!(
                "plugin `{}` needs `secretId`: the name or the ARN of the secret",
                SecretsPlugin::CODE
            ))
        })?;
        let mut secrets = SecretProvider::builder(id).credentials(self.credentials(options)?);
        if let Some(profile) = aws_profile(options) {
            secrets = secrets.profile(profile);
        }
        if let Some(region) = options.get(&SECRET_REGION) {
            secrets = secrets.region(region);
        }
        if let Some(url) = options.get(&SECRET_ENDPOINT) {
            if !options.is_trusted(SECRET_ENDPOINT.name()) {
                endpoint::check_configured(url)?;
            }
            secrets = secrets.endpoint(url);
        }
        if let Some(age) = options.get(&SECRET_EXPIRATION_SEC) {
            secrets = secrets.renew_after(Duration::from_secs(*age));
        }
        let property = |parameter: Parameter<String>, default: &str| {
            options.get(&parameter).cloned().unwrap_or_else(|| default.to_owned())
        };
        secrets
            .properties(
                property(SECRET_USERNAME_PROPERTY, "username"),
                property(SECRET_PASSWORD_PROPERTY, "password"),
            )
            .build()
    }

    fn credentials(&self, options: &Options) -> Result<CredentialsSource> {
        Ok(token_provider(options, self.tokens.as_ref())?.credentials())
    }
}

impl<C: Send + 'static> Factory<C> for SecretsFactory {
    fn code(&self) -> &str {
        SecretsPlugin::CODE
    }

    fn aliases(&self) -> &[&str] {
        &["secretsManager"]
    }

    fn conflicts(&self) -> &[&str] {
        &[IamPlugin::CODE]
    }

    fn parameters(&self) -> &[Parameter] {
        SECRETS_PARAMETERS
    }

    fn weight(&self) -> i32 {
        1100
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Plugin<C>>> {
        let options = context.options();
        let timeout = options.get(&SECRET_ROTATION_RETRY_TIMEOUT_MS).copied().unwrap_or_default();
        let plugin = SecretsPlugin::new(self.provider(options)?).with_events(context.events());
        Ok(Arc::new(plugin.with_retry_timeout(Duration::from_millis(timeout))))
    }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
