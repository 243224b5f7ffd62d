//! Name or ARN of a secret, and its region.

use std::fmt;

use host_pattern::Region;
use wrapper_core::{Error, ErrorKind, Result, text::shown};

/// The longest name, and the longest ARN:
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>.
const LONGEST: usize = 2048;

/// A secret's name or ARN, with its region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretId {
    text: String,
    region: Region,
}

impl SecretId {
    /// Parses an id; invalid text is not shown, since it may be the secret itself.
    pub(crate) fn parse(text: &str, region: Option<Region>) -> Result<Self> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!:".contains(c);
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(is_part) {
            return Err(configuration(format!(
                "`secretId` must be the name or the ARN of a secret, as in `prod/app` or \
                 `arn:aws:secretsmanager:us-east-2:123456789012:secret:prod/app-AbCdEf`, not {}",
                shown(text)
            )));
        }
        let Some(arn) = text.strip_prefix("arn:") else {
            let region = region.ok_or_else(|| {
                Error::new(
                    ErrorKind::Region,
                    format!(
                        "missing region for secret `{text}`: set `secretRegion`, or pass its ARN as \
                         `secretId`"
                    ),
                )
            })?;
            return Ok(Self { text: text.to_owned(), region });
        };
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let [_, "secretsmanager", own, account, "secret", name] = parts[..] else {
            return Err(not_an_arn(text));
        };
        if name.is_empty() || account.is_empty() {
            return Err(not_an_arn(text));
        }
        let own = Region::parse(own).map_err(|_| not_an_arn(text))?;
        match region {
            Some(region) if region != own => Err(configuration(format!(
                "`secretRegion` is {region} but the ARN in `secretId` says {own}: remove `secretRegion`",
            ))),
            _ => Ok(Self { text: text.to_owned(), region: own }),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Returns the resource for a policy that allows reading the secret.
    pub(crate) fn resource(&self) -> String {
        if self.text.starts_with("arn:") {
            return self.text.clone();
        }
        let partition = self.region.partition();
        // Secrets Manager appends a hyphen and six characters to each name.
        format!("arn:{partition}:secretsmanager:{}:*:secret:{}-??????", self.region, self.text)
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

fn not_an_arn(text: &str) -> Error {
    configuration(format!(
        "`secretId` `{text}` is not the ARN of a secret: it looks like \
         arn:aws:secretsmanager:us-east-2:123456789012:secret:prod/app-AbCdEf"
    ))
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:prod/app-AbCdEf";

    fn region(text: &str) -> Option<Region> {
        Some(Region::parse(text).expect("a region"))
    }

    #[test]
    fn id_ok() {
        let named = SecretId::parse("rds!cluster-1f", region("eu-west-1")).expect("a name");
        assert_eq!(named.resource(), "arn:aws:secretsmanager:eu-west-1:*:secret:rds!cluster-1f-??????");

        let arn = SecretId::parse(ARN, None).expect("an ARN");
        assert_eq!((arn.region().as_str(), arn.resource().as_str()), ("us-gov-west-1", ARN));
        assert_eq!(SecretId::parse(ARN, region("us-gov-west-1")).expect("the same"), arn);
    }

    #[test]
    fn region_missing() {
        let error = SecretId::parse("prod/app", None).expect_err("no region");

        assert_eq!(error.kind(), ErrorKind::Region);
        assert!(error.message().contains("set `secretRegion`"), "{error}");
    }

    #[test]
    fn id_wrong() {
        let message = |text: &str, region| SecretId::parse(text, region).expect_err("no id").to_string();

        assert!(message(ARN, region("us-east-1")).contains("says us-gov-west-1: remove `secretRegion`"));
        for arn in [
            "arn:aws:rds:us-east-2:123456789012:db:app",
            "arn:aws:secretsmanager:us-east-2:123456789012:secret:",
            "arn:aws:secretsmanager:mars:123456789012:secret:app",
            "arn:",
        ] {
            assert!(message(arn, None).contains("is not the ARN of a secret"), "{arn}");
        }
        for text in ["", r#"{"password":"hunter2"}"#, "hunter2 hunter2", "hunter2\n", &"hunter2".repeat(400)]
        {
            let message = message(text, region("us-east-2"));
            assert!(message.contains("the name or the ARN") && !message.contains("hunter2"), "{message}");
        }
    }
}
