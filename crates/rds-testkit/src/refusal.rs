//! The reasons for refused logins.

use std::fmt;

/// The reason of a refused login; known to the test, never sent to the client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The token's lifetime was over by the server's clock.
    Expired,
    /// The test injected this refusal.
    Injected,
    /// `X-Amz-Expires` was over 900 seconds.
    LifetimeTooLong,
    /// No `pg_hba.conf` rule exists for the database; on MySQL, the database does not exist.
    NoRule,
    /// The user does not exist.
    NoSuchUser,
    /// The connection was not encrypted.
    NoTls,
    /// The password was not of a token's form.
    NotAToken,
    /// The token was signed too far in the future.
    NotYetValid,
    /// The key's policy does not name the user.
    Policy,
    /// The session token was missing, superfluous or wrong.
    SessionToken,
    /// The signature did not match.
    Signature,
    /// More logins by token came within the second than
    /// [`limit_logins`](crate::TokenPolicy::limit_logins) allows.
    Throttled,
    /// The access key is not known, or was revoked.
    UnknownKey,
    /// The token was signed for another host.
    WrongHost,
    /// The password was wrong.
    WrongPassword,
    /// The token was signed for another port.
    WrongPort,
    /// The token was signed for another region.
    WrongRegion,
    /// The token was signed for another service than `rds-db`.
    WrongService,
    /// The token was signed for another user than the one that logs in.
    WrongUser,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "token expired",
            Self::Injected => "refusal injected",
            Self::LifetimeTooLong => "lifetime over 900 seconds",
            Self::NoRule => "no rule for the database",
            Self::NoSuchUser => "unknown user",
            Self::NoTls => "connection not encrypted",
            Self::NotAToken => "not a token",
            Self::NotYetValid => "token not yet valid",
            Self::Policy => "not allowed by the policy",
            Self::SessionToken => "session token differs",
            Self::Signature => "signature does not match",
            Self::Throttled => "too many logins within a second",
            Self::UnknownKey => "unknown access key",
            Self::WrongHost => "token for another host",
            Self::WrongPassword => "wrong password",
            Self::WrongPort => "token for another port",
            Self::WrongRegion => "token for another region",
            Self::WrongService => "token for another service",
            Self::WrongUser => "token for another user",
        })
    }
}

/// A refusal with its exact reason; never part of a secret.
#[derive(Debug)]
pub(crate) struct RefusalDetail {
    pub(crate) refusal: Refusal,
    pub(crate) detail: String,
}

impl RefusalDetail {
    pub(crate) fn new(refusal: Refusal, detail: impl Into<String>) -> Self {
        Self { refusal, detail: detail.into() }
    }
}
