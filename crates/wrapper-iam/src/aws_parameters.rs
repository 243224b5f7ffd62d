//! The parameters that select AWS credentials, shared by all plugins for AWS.

use iam_token_provider::{IamTokenProvider, IamTokenProviderBuilder};
use wrapper_core::{Error, ErrorKind, Options, Parameter, ParameterKind, Result};

use crate::connect_error;

/// Declares `awsProfile`.
pub const AWS_PROFILE: Parameter = PROFILE.untyped();

const PROFILE: Parameter<String> = Parameter::typed(
    "awsProfile",
    ParameterKind::Text,
    "none",
    "The profile to take AWS credentials from, whatever keys the environment holds; without it the AWS \
     default chain decides.",
)
.aliases(&["aws_profile", "profile"]);

/// Declares `assumeRoleArn`.
pub const ASSUME_ROLE_ARN: Parameter = ROLE_ARN.untyped();

const ROLE_ARN: Parameter<String> = Parameter::typed(
    "assumeRoleArn",
    ParameterKind::Text,
    "none",
    "A role to assume with the credentials of the chain or the profile; STS is asked in the target's region.",
)
.aliases(&["assume_role_arn", "roleArn", "role_arn"]);

/// Declares `assumeRoleSessionName`.
pub const ASSUME_ROLE_SESSION_NAME: Parameter = ROLE_SESSION_NAME.untyped();

const ROLE_SESSION_NAME: Parameter<String> = Parameter::typed(
    "assumeRoleSessionName",
    ParameterKind::Text,
    "the program's name",
    "The name of the role's session, which audit logs show.",
)
.aliases(&["assume_role_session_name", "roleSessionName", "role_session_name"]);

/// Declares `assumeRoleExternalId`.
pub const ASSUME_ROLE_EXTERNAL_ID: Parameter = ROLE_EXTERNAL_ID.untyped();

const ROLE_EXTERNAL_ID: Parameter<String> = Parameter::typed(
    "assumeRoleExternalId",
    ParameterKind::Text,
    "none",
    "The external id that the role's trust policy asks for.",
)
.aliases(&["assume_role_external_id", "externalId", "external_id"]);

/// Declares `assumeRoleDurationSec`.
pub const ASSUME_ROLE_DURATION_SEC: Parameter = ROLE_DURATION_SEC.untyped();

const ROLE_DURATION_SEC: Parameter<u64> = Parameter::typed(
    "assumeRoleDurationSec",
    ParameterKind::Integer { min: 900, max: 43_200 },
    "`3600`",
    "Seconds that the role's credentials live.",
)
.aliases(&["assume_role_duration_sec", "assumeRoleDuration", "durationSeconds"]);

const ROLE_PARAMETERS: [Parameter; 4] =
    [ASSUME_ROLE_ARN, ASSUME_ROLE_SESSION_NAME, ASSUME_ROLE_EXTERNAL_ID, ASSUME_ROLE_DURATION_SEC];

/// Returns the configured profile, if any.
pub fn aws_profile(options: &Options) -> Option<&str> {
    options.get(&PROFILE).map(String::as_str)
}

/// Returns the provider that the parameters select: `given` if the program has one, otherwise a new
/// one on a profile, a role or the AWS default chain.
///
/// # Errors
///
/// A configuration error for a role's parameter without the role, and for a parameter of the
/// default chain together with `given`.
pub fn token_provider(options: &Options, given: Option<&IamTokenProvider>) -> Result<IamTokenProvider> {
    // A program's own credentials win, but a parameter that they would silence is an error.
    let Some(given) = given else { return machine_tokens(options) };
    match [AWS_PROFILE]
        .iter()
        .chain(&ROLE_PARAMETERS)
        .map(Parameter::name)
        .find(|name| options.contains(name))
    {
        Some(name) => Err(configuration(&format!(
            "`{name}` applies to the AWS default chain, but the program has its own credentials: leave \
             it out",
        ))),
        None => Ok(given.clone()),
    }
}

/// Reads the parameters of the default chain.
fn machine_tokens(options: &Options) -> Result<IamTokenProvider> {
    let mut tokens = IamTokenProvider::builder();
    if let Some(profile) = options.get(&PROFILE) {
        tokens = tokens.profile(profile);
    }
    let role_parameter = ROLE_PARAMETERS.iter().map(Parameter::name).find(|name| options.contains(name));
    match (options.get(&ROLE_ARN), role_parameter) {
        (Some(arn), _) => build(with_role(tokens, arn, options)?),
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
    options: &Options,
) -> Result<IamTokenProviderBuilder> {
    let mut role = crate::AssumeRole::new(arn);
    if let Some(name) = options.get(&ROLE_SESSION_NAME) {
        role = role.with_session_name(name);
    }
    if let Some(external_id) = options.get(&ROLE_EXTERNAL_ID) {
        role = role.with_external_id(external_id);
    }
    if let Some(seconds) = options.get(&ROLE_DURATION_SEC) {
        role = role.with_duration(std::time::Duration::from_secs(*seconds));
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
