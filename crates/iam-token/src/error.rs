//! Why a token could not be signed.

use std::{fmt, time::SystemTime};

use crate::signing_time::Rfc3339;

/// Explains why a token could not be signed.
///
/// The message names the offending value and the remedy; it never holds a secret, a token or user
/// information.
#[derive(Clone, Eq, PartialEq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The credentials were already expired at the signing time, so no server would accept the
    /// token.
    ExpiredCredentials,
    /// The name of an ElastiCache cache is invalid, such as an endpoint.
    InvalidCache,
    /// The name of a MemoryDB or EKS cluster is invalid, such as an endpoint.
    InvalidCluster,
    /// A part of the credentials is empty or holds blanks, quotes or control characters, or the
    /// identity is not a pair of AWS credentials.
    InvalidCredentials,
    /// A signed header is `host`, repeated, or not text that a header can carry.
    InvalidHeader,
    /// The host is empty or not a bare DNS name or IP address.
    InvalidHost,
    /// The lifetime is missing, has a fraction of a second, or is longer than the service takes.
    InvalidLifetime,
    /// The path does not start with `/`, or would have to be encoded or normalised.
    InvalidPath,
    /// The port is 0.
    InvalidPort,
    /// A query name is empty or one of the `X-Amz-` names that the signature itself adds.
    InvalidQuery,
    /// The region is malformed, or contradicts the region of the host.
    InvalidRegion,
    /// The service is missing, or not 1 to 63 lower-case letters, digits and hyphens.
    InvalidService,
    /// The signing time is before 1970 or after 9999.
    InvalidTime,
    /// The user is empty or invalid for ElastiCache or MemoryDB.
    InvalidUser,
    /// No region was given; there is no default.
    MissingRegion,
}

impl Error {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn expired(access_key_id: &str, expiry: SystemTime, now: SystemTime) -> Self {
        let message = format!(
            "credentials of the access key ending in {:?} expired at {}, before the signing time {}: reload \
             them",
            masked_key_id(access_key_id),
            Rfc3339(expiry),
            Rfc3339(now),
        );
        Self::new(ErrorKind::ExpiredCredentials, message)
    }

    pub(crate) fn missing_region() -> Self {
        Self::new(ErrorKind::MissingRegion, "no region to sign for: give the region of the endpoint")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.kind).field("message", &self.message).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

fn masked_key_id(text: &str) -> &str {
    text.char_indices().rev().nth(3).map_or(text, |(start, _)| &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_key_id_cuts_at_characters() {
        assert_eq!(masked_key_id("AKIAEXAMPLE"), "MPLE");
        assert_eq!(masked_key_id("a€éü€"), "€éü€");
        assert_eq!(masked_key_id("abc"), "abc");
    }
}
