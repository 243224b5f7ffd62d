//! The name of the credentials source.

use aws_credential_types::{Credentials, credential_feature::AwsCredentialFeature};

/// Names the kind of source that gave these credentials, such as `SSO` or `assumed role`, where the
/// SDK noted it.
pub(crate) fn provider_name(credentials: &Credentials) -> Option<&'static str> {
    use AwsCredentialFeature as Feature;
    let noted = credentials.get_property::<Vec<AwsCredentialFeature>>()?;
    // The SDK notes every step: the most specific ones are checked first.
    [
        (Feature::CredentialsStsAssumeRole, "assumed role"),
        (Feature::CredentialsStsAssumeRoleWebId, "web identity"),
        (Feature::CredentialsSso, "SSO"),
        (Feature::CredentialsLogin, "AWS login"),
        (Feature::CredentialsProcess, "credential_process"),
        (Feature::CredentialsHttp, "container"),
        (Feature::CredentialsImds, "instance metadata"),
        (Feature::CredentialsEnvVars, "environment"),
        (Feature::CredentialsProfile, "profile file"),
    ]
    .into_iter()
    .find_map(|(feature, name)| noted.contains(&feature).then_some(name))
}
