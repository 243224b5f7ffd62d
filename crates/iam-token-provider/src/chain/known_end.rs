//! The expiries that tools note beside static keys.

use std::{env, time::SystemTime};

use aws_credential_types::{Credentials, credential_feature::AwsCredentialFeature};
use time::{
    OffsetDateTime,
    format_description::well_known::{Iso8601, Rfc3339},
};

use super::diagnosis::{Failure, Profiles};
use crate::error::{CredentialsFailure, Error};

/// Written by aws-vault, saml2aws, granted and others.
const VARIABLE: &str = "AWS_CREDENTIAL_EXPIRATION";

/// The keys of a profile that such tools write.
pub(super) const KEYS: [&str; 2] = ["aws_session_expiration", "x_security_token_expires"];

/// Marks static keys with a noted expiry, which their source does not renew.
#[derive(Clone, Copy, Debug)]
struct Noted;

/// Returns whether the source of these credentials renews them.
pub(super) fn is_renewed(credentials: &Credentials) -> bool {
    credentials.expiry().is_some() && credentials.get_property::<Noted>().is_none()
}

/// Applies the expiry noted beside static keys.
pub(super) async fn apply(
    mut credentials: Credentials,
    profile: Option<&str>,
    now: SystemTime,
) -> Result<Credentials, Failure> {
    if credentials.expiry().is_some() {
        return Ok(credentials);
    }
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>().cloned().unwrap_or_default();
    let is = |feature| features.contains(&feature);
    let noted = if is(AwsCredentialFeature::CredentialsEnvVars) {
        in_environment()
    } else if is(AwsCredentialFeature::CredentialsProfile) && !is(AwsCredentialFeature::CredentialsProcess) {
        match Profiles::load(profile).await {
            Some(profiles) => profiles.noted_end(profiles.selected()),
            None => None,
        }
    } else {
        None
    };
    let Some(noted) = noted else { return Ok(credentials) };
    noted
        .check(now)
        .map_err(|message| Failure::Known(Error::credentials(CredentialsFailure::Expired, message)))?;
    *credentials.expiry_mut() = Some(noted.end);
    // Tells `load` to drop the chain, which would serve the keys of the files that it has read.
    credentials.set_property(Noted);
    Ok(credentials)
}

/// An expiry, and where it was found.
pub(super) struct NotedEnd {
    end: SystemTime,
    keys_of: String,
    name: &'static str,
}

impl NotedEnd {
    /// Parses an expiry; malformed text counts as unknown.
    pub(super) fn read(name: &'static str, value: &str, keys_of: String) -> Option<Self> {
        match parse(value) {
            Some(end) => Some(Self { end, keys_of, name }),
            None => {
                tracing::warn!(
                    name,
                    "the end of the AWS credentials is not a date and time: it is treated as unknown"
                );
                None
            }
        }
    }

    pub(super) fn end(&self) -> SystemTime {
        self.end
    }

    /// Fails with a message if it has passed.
    pub(super) fn check(&self, now: SystemTime) -> Result<(), String> {
        if self.end > now {
            return Ok(());
        }
        let end = OffsetDateTime::from(self.end).replace_nanosecond(0).ok();
        let end = end.and_then(|end| end.format(&Rfc3339).ok()).unwrap_or_default();
        Err(format!(
            "the AWS keys of {} expired at {end}, as `{}` says: renew them, and check the clock",
            self.keys_of, self.name
        ))
    }
}

fn in_environment() -> Option<NotedEnd> {
    let value = env::var(VARIABLE).ok().filter(|value| !value.trim().is_empty())?;
    NotedEnd::read(VARIABLE, &value, "the environment".to_owned())
}

/// Reads RFC 3339 and its kin: with a blank for the `T`, an offset without a colon, or none for
/// UTC.
fn parse(text: &str) -> Option<SystemTime> {
    // The first blank stands for the `T`; another one separates the offset.
    let text = text.trim().replacen(' ', "T", 1);
    let text = text.replace(' ', "");
    let parsed = OffsetDateTime::parse(&text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&text, &Iso8601::PARSING))
        .or_else(|_| OffsetDateTime::parse(&with_colon(&text), &Rfc3339))
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
        .ok()?;
    let since_epoch = parsed.unix_timestamp_nanos().max(0);
    SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_nanos(u64::try_from(since_epoch).ok()?))
}

/// `+0200` with its colon.
fn with_colon(text: &str) -> String {
    match text.len().checked_sub(2) {
        Some(minutes) if text.is_char_boundary(minutes) => {
            format!("{}:{}", &text[..minutes], &text[minutes..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_of_the_tools_are_read() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_736_944_496);
        for text in [
            "2025-01-15T12:34:56Z",
            " 2025-01-15T12:34:56Z\n",
            "2025-01-15T12:34:56+00:00",
            "2025-01-15T14:34:56+02:00",
            "2025-01-15T14:34:56+0200",
            "2025-01-15 12:34:56+00:00",
            "2025-01-15 12:34:56 +0000",
            "2025-01-15T12:34:56",
            "2025-01-15 12:34:56",
            "20250115T123456Z",
        ] {
            assert_eq!(parse(text), Some(end), "{text}");
        }
        assert_eq!(parse("2025-01-15T12:34:56.500Z"), Some(end + Duration::from_millis(500)));
    }

    #[test]
    fn what_is_no_date_is_unknown() {
        for text in ["", "soon", "2025-13-15T12:34:56Z", "é", "1", "2025-01-15"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
