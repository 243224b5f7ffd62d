//! A role to assume.

use std::{fmt, time::Duration};

use aws_config::{Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials},
};

use crate::error::{Error, Result};

const SHORTEST: Duration = Duration::from_secs(900);
const LONGEST: Duration = Duration::from_secs(43_200);

/// A role to assume with the credentials of the chain or profile.
///
/// Its parts are checked by [`DefaultChainBuilder::build`](crate::DefaultChainBuilder::build), by
/// the rules of
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[derive(Clone, Debug)]
pub struct AssumeRole {
    arn: String,
    session_name: String,
    external_id: Option<String>,
    duration: Duration,
}

impl AssumeRole {
    /// Names the role, such as `arn:aws:iam::123456789012:role/orders`.
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            session_name: program_name(),
            external_id: None,
            duration: Duration::from_secs(3600),
        }
    }

    /// Sets the role session name, which CloudTrail shows. Default: the program's name.
    #[must_use]
    pub fn with_session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = name.into();
        self
    }

    /// Sets the external id that the role's trust policy asks for. Default: none.
    #[must_use]
    pub fn with_external_id(mut self, external_id: impl Into<String>) -> Self {
        self.external_id = Some(external_id.into());
        self
    }

    /// Sets how long the credentials live, 15 minutes to 12 hours. Default: 1 hour.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::configuration(message));
        if !is_role_arn(&self.arn) {
            return refuse("`assumeRoleArn` must look like arn:aws:iam::123456789012:role/name");
        }
        if !is_made_of(&self.session_name, "_+=,.@-", 2..=64) {
            return refuse(
                "`assumeRoleSessionName` must be 2 to 64 letters, digits and characters of _+=,.@-",
            );
        }
        if !self.external_id.as_deref().is_none_or(|id| is_made_of(id, "_+=,.@:/-", 2..=1224)) {
            return refuse(
                "`assumeRoleExternalId` must be 2 to 1224 letters, digits and characters of _+=,.@:/-",
            );
        }
        // STS takes whole seconds, so a fraction would be cut silently.
        if !(SHORTEST..=LONGEST).contains(&self.duration) || self.duration.subsec_nanos() != 0 {
            let seconds = self.duration.as_secs_f64();
            return refuse(&format!("`assumeRoleDurationSec` must be 900 to 43200 seconds, not {seconds}"));
        }
        Ok(())
    }

    /// Asks STS for the role's credentials, in the region of `config` unless another is given.
    pub(super) async fn assume(
        &self,
        base: Credentials,
        config: &SdkConfig,
        region: Option<Region>,
    ) -> provider::Result {
        let mut role = AssumeRoleProvider::builder(&self.arn)
            .configure(config)
            .session_name(&self.session_name)
            .session_length(self.duration);
        if let Some(region) = region {
            role = role.region(region);
        }
        if let Some(external_id) = &self.external_id {
            role = role.external_id(external_id);
        }
        role.build_from_provider(base).await.provide_credentials().await
    }
}

impl fmt::Display for AssumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.arn.escape_debug())
    }
}

fn is_role_arn(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (scheme, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    scheme == "arn"
        && partition.starts_with("aws")
        && is_made_of(partition, "-", 3..=20)
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|path| is_made_of(path, "_+=,.@/-", 1..=576))
        && !resource.ends_with('/')
}

fn is_made_of(text: &str, others: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Returns the name of the running program, with the characters replaced that a session name may
/// not have.
fn program_name() -> String {
    let program = std::env::current_exe().ok();
    let name = program
        .as_deref()
        .and_then(|path| path.file_stem())
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    session_name_of(name)
}

fn session_name_of(program: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    let name: String = program.chars().map(keep).take(64).collect();
    if name.len() < 2 { "rds-wrapper".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const ARN: &str = "arn:aws:iam::123456789012:role/orders";

    #[test]
    fn roles_of_all_partitions_and_paths_are_accepted() {
        for arn in [
            ARN,
            "arn:aws-cn:iam::123456789012:role/orders",
            "arn:aws-us-gov:iam::123456789012:role/team/a/orders+blue=1,2.3@x_y-z",
        ] {
            AssumeRole::new(arn).check().unwrap();
        }
    }

    #[test]
    fn what_is_no_role_is_refused_and_not_repeated() {
        for arn in [
            "",
            "orders",
            "arn:aws:iam::123456789012:user/orders",
            "arn:aws:iam::12345:role/orders",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/orders/",
            "arn:aws:iam:us-east-2:123456789012:role/orders",
            "arn:aws:sts::123456789012:assumed-role/orders/hunter2",
            "arn:aws:iam::123456789012:role/hunter2 x",
            "jane:hunter2@host",
        ] {
            let error = AssumeRole::new(arn).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{arn}");
            assert!(
                error.to_string().starts_with("`assumeRoleArn`") && !error.to_string().contains("hunter2")
            );
        }
    }

    #[track_caller]
    fn refused(role: AssumeRole, parameter: &str) {
        let message = role.check().unwrap_err().to_string();
        assert!(message.starts_with(&format!("`{parameter}`")), "{message}");
    }

    #[test]
    fn parts_out_of_range_are_refused_by_their_parameter() {
        let role = || AssumeRole::new(ARN);
        for name in ["", "a", "a b", "a/b", "ä-b", &"a".repeat(65)] {
            refused(role().with_session_name(name), "assumeRoleSessionName");
        }
        for id in ["", "a", "a b", &"a".repeat(1225)] {
            refused(role().with_external_id(id), "assumeRoleExternalId");
        }
        for seconds in [0, 899, 43_201] {
            refused(role().with_duration(Duration::from_secs(seconds)), "assumeRoleDurationSec");
        }
        refused(role().with_duration(Duration::from_millis(900_500)), "assumeRoleDurationSec");
        let longest = role().with_duration(LONGEST).with_session_name("a@b").with_external_id("a:b/c");
        longest.with_duration(SHORTEST).check().unwrap();
    }

    #[test]
    fn session_is_named_after_the_program() {
        assert_eq!(session_name_of("orders-service"), "orders-service");
        assert_eq!(session_name_of("größe 2"), "gr--e-2");
        assert_eq!(session_name_of(&"a".repeat(80)).len(), 64);
        assert_eq!(session_name_of("x"), "rds-wrapper");
        AssumeRole::new(ARN).check().unwrap();
    }
}
