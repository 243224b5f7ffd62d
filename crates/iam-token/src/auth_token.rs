//! A signed token and its lifetime.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64_simd::URL_SAFE_NO_PAD;

use crate::{
    signing_time::{Rfc3339, SigningTime},
    zeroizing_string::ZeroizingString,
};

/// A signed token, to be used as a password.
///
/// It has no `Display`, and its `Debug` prints only when it expires. The text is overwritten when
/// the token is dropped; each clone is a copy of its own.
///
/// # Security
///
/// Anyone with the text can log in until [`expires_at`](Self::expires_at). Send it over verified
/// TLS only.
#[derive(Clone)]
pub struct AuthToken {
    text: ZeroizingString,
    access_key_id: Arc<str>,
    /// Seconds since 1970.
    signed_at: u64,
    /// From the signature to the expiry, at most seven days: seconds and nanoseconds apart, so that
    /// the two take half of what a `Duration` and its padding do. Caches hold many tokens.
    life: (u32, u32),
}

impl AuthToken {
    pub(crate) fn new(
        text: ZeroizingString,
        access_key_id: Arc<str>,
        signed_at: &SigningTime,
        life: Duration,
    ) -> Self {
        // Bounded by `build`, and so without loss.
        let seconds = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
        Self { text, access_key_id, signed_at: signed_at.seconds(), life: (seconds, life.subsec_nanos()) }
    }

    /// Returns the text of the token: the password.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the text of the token, the password, without a copy.
    ///
    /// # Security
    ///
    /// The string is an ordinary one: it is not overwritten when it is dropped.
    pub fn into_secret(self) -> String {
        self.text.into_string()
    }

    /// Returns when the token was signed: the whole second in `X-Amz-Date`.
    pub fn signed_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.signed_at)
    }

    /// Returns when the token stops working: after its lifetime, or with the credentials that
    /// signed it where their expiry is known and comes first.
    pub fn expires_at(&self) -> SystemTime {
        let (seconds, nanos) = self.life;
        self.signed_at() + Duration::new(seconds.into(), nanos)
    }

    /// Returns how long the token still works at `now`; zero once it has stopped.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.expires_at().duration_since(now).unwrap_or_default()
    }

    /// Returns [`expires_at`](Self::expires_at) in milliseconds since 1970, as Kafka clients want
    /// it.
    pub fn expires_at_millis(&self) -> u64 {
        let since_epoch = self.expires_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the access key id that signed the token.
    ///
    /// It is a name, not a secret: the token's own text carries it in clear, and audit logs print
    /// it. It tells whether credentials were rotated since.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Replaces the text with `prefix` and the base64url form of it, without padding.
    pub(crate) fn into_base64url(mut self, prefix: &str) -> Self {
        // Sized once, as in `sign_with`; the plain text is overwritten when it is replaced below.
        let length = prefix.len() + URL_SAFE_NO_PAD.encoded_length(self.text.len());
        let mut encoded = String::with_capacity(length);
        encoded.push_str(prefix);
        URL_SAFE_NO_PAD.encode_append(self.text.as_bytes(), &mut encoded);
        self.text = encoded.into();
        self
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthToken(redacted, expires {})", Rfc3339(self.expires_at()))
    }
}
