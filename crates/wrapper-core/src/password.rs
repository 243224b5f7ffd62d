//! Passwords that know over what they may be sent.

use std::{fmt, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Holds a password and the least protection that it may be sent under.
///
/// `Debug` prints no part of it, and the memory is zeroized when the last clone goes. The drivers
/// keep copies of their own, which are not.
#[derive(Clone)]
pub struct Password {
    text: Arc<Zeroizing<String>>,
    verified_tls_only: bool,
    good_until: Option<SystemTime>,
}

/// Says how the bytes of a login travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Transport {
    /// Anything else: no TLS, or TLS that does not check whom it talks to.
    Unverified,
    /// TLS with the certificate's chain and name verified before the login.
    VerifiedTls,
}

impl Password {
    /// Creates a password that is sent however the driver is configured.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: Arc::new(Zeroizing::new(text.into())), verified_tls_only: false, good_until: None }
    }

    /// Creates a password that only goes over verified TLS, as tokens and managed secrets are.
    pub fn verified_tls_only(text: impl Into<String>) -> Self {
        Self { verified_tls_only: true, ..Self::new(text) }
    }

    /// Says when it ends.
    #[must_use]
    pub fn with_good_until(mut self, end: SystemTime) -> Self {
        self.good_until = Some(end);
        self
    }

    /// Returns when it ends, where it does.
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }

    /// Gives the text to a driver adapter that says how it will travel.
    ///
    /// # Errors
    ///
    /// A configuration error if the password is for verified TLS only and the transport is less.
    pub fn expose_for(&self, transport: Transport) -> Result<&str> {
        if self.verified_tls_only && transport < Transport::VerifiedTls {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the password is a token or a managed secret and goes over verified TLS only, but the \
                 connection is set up without",
            ));
        }
        Ok(&self.text)
    }

    /// Returns the text for blanking it out of what a server said; never to be sent or printed.
    pub fn as_secret(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_not_exposed_without_verified_tls() {
        let token = Password::verified_tls_only("tok");

        let error = token.expose_for(Transport::Unverified).expect_err("less than verified");

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(token.expose_for(Transport::VerifiedTls).ok(), Some("tok"));
        assert_eq!(Password::new("pw").expose_for(Transport::Unverified).ok(), Some("pw"));
    }

    #[test]
    fn debug_shows_no_password() {
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password(redacted)");
    }
}
