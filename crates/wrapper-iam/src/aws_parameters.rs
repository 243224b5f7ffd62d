//! Where AWS credentials come from, by the parameters that every plugin on AWS shares.

use iam_token_provider::{IamTokenProvider, IamTokenProviderBuilder};
use wrapper_core::{Error, ErrorKind, Options, Parameter, ParameterKind, Result};

use crate::connect_error;

/// Declares `awsProfile`.
pub const AWS_PROFILE: Parameter = Parameter::new(
    "awsProfile",
    ParameterKind::Text,
    "none",
    "The profile to take AWS credentials from, whatever keys the environment holds; without it the AWS default chain decides.",
)
.aliases(&["aws_profile", "profile"]);

/// Declares `assumeRoleArn`.
pub const ASSUME_ROLE_ARN: Parameter = Parameter::new(
    "assumeRoleArn",
    ParameterKind::Text,
    "none",
    "A role to assume with the credentials of the chain or the profile; STS is asked in the target's region.",
)
.aliases(&["assume_role_arn", "roleArn", "role_arn"]);

/// Declares `assumeRoleSessionName`.
pub const ASSUME_ROLE_SESSION_NAME: Parameter = Parameter::new(
    "assumeRoleSessionName",
    ParameterKind::Text,
    "the program's name",
    "The name of the role's session, which audit logs show.",
)
.aliases(&["assume_role_session_name", "roleSessionName", "role_session_name"]);

/// Declares `assumeRoleExternalId`.
pub const ASSUME_ROLE_EXTERNAL_ID: Parameter = Parameter::new(
    "assumeRoleExternalId",
    ParameterKind::Text,
    "none",
    "The external id that the role's trust policy asks for.",
)
.aliases(&["assume_role_external_id", "externalId", "external_id"]);

/// Declares `assumeRoleDurationSec`.
pub const ASSUME_ROLE_DURATION_SEC: Parameter = Parameter::new(
    "assumeRoleDurationSec",
    ParameterKind::Integer { min: 900, max: 43_200 },
    "`3600`",
    "Seconds that the role's credentials live.",
)
.aliases(&["assume_role_duration_sec", "assumeRoleDuration", "durationSeconds"]);

const ROLE_PARAMETERS: [&str; 4] =
    ["assumeRoleArn", "assumeRoleSessionName", "assumeRoleExternalId", "assumeRoleDurationSec"];

/// Returns the provider on the credentials that the parameters name: `given` where the program
/// brings its own, else a new one on a profile, a role or the AWS default chain.
///
/// # Errors
///
/// A configuration error for a parameter of a role without the role, and for one of the default
/// chain beside `given`.
pub fn token_provider(settings: &Options, given: Option<&IamTokenProvider>) -> Result<IamTokenProvider> {
    let Some(given) = given else { return machine_tokens(settings) };
    match ["awsProfile"].into_iter().chain(ROLE_PARAMETERS).find(|name| is_given(settings, name)) {
        Some(name) => Err(configuration(&format!(
            "`{name}` belongs to the AWS default chain, and the program gives credentials of its own: leave it out",
        ))),
        None => Ok(given.clone()),
    }
}

fn is_given(settings: &Options, name: &str) -> bool {
    settings.text(name).is_some() || settings.integer(name).is_some()
}

/// Reads where the machine's credentials come from.
fn machine_tokens(settings: &Options) -> Result<IamTokenProvider> {
    let mut tokens = IamTokenProvider::builder();
    if let Some(profile) = settings.text("awsProfile") {
        tokens = tokens.profile(profile);
    }
    let role_parameter = ROLE_PARAMETERS.into_iter().find(|name| is_given(settings, name));
    match (settings.text("assumeRoleArn"), role_parameter) {
        (Some(arn), _) => build(with_role(tokens, arn, settings)?),
        (None, Some(name)) => {
            Err(configuration(&format!("`{name}` has no use without `assumeRoleArn`: add that")))
        }
        (None, None) => build(tokens),
    }
}

#[cfg(feature = "default-chain")]
fn with_role(
    tokens: IamTokenProviderBuilder,
    arn: &str,
    settings: &Options,
) -> Result<IamTokenProviderBuilder> {
    let mut role = crate::AssumeRole::new(arn);
    if let Some(name) = settings.text("assumeRoleSessionName") {
        role = role.with_session_name(name);
    }
    if let Some(external_id) = settings.text("assumeRoleExternalId") {
        role = role.with_external_id(external_id);
    }
    if let Some(seconds) = settings.integer("assumeRoleDurationSec").and_then(|s| u64::try_from(s).ok()) {
        role = role.with_duration(std::time::Duration::from_secs(seconds));
    }
    Ok(tokens.assume_role(role))
}

#[cfg(not(feature = "default-chain"))]
fn with_role(_: IamTokenProviderBuilder, _: &str, _: &Options) -> Result<IamTokenProviderBuilder> {
    Err(configuration("`assumeRoleArn` needs the feature `default-chain`: enable it"))
}

fn build(builder: IamTokenProviderBuilder) -> Result<IamTokenProvider> {
    builder.build().map_err(|error| connect_error(&error))
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
