//! Passwords, and the transport that each requires.

use std::{fmt, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Holds a password and the least protection that it may be sent under.
///
/// `Debug` prints no part of it, and the memory is zeroized when the last clone is dropped. The
/// drivers keep copies of their own, which are not zeroized.
#[derive(Clone)]
pub struct Password {
    text: Arc<Zeroizing<String>>,
    verified_tls_only: bool,
    good_until: Option<SystemTime>,
}

/// The protection of the bytes of a login.
// In ascending order of protection, by which `expose_for` compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Transport {
    /// No TLS, or TLS that does not verify the server.
    Unverified,
    /// TLS with the certificate's chain and name verified before the login.
    VerifiedTls,
}

impl Password {
    /// Creates a password that is sent however the driver is configured.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: Arc::new(Zeroizing::new(text.into())), verified_tls_only: false, good_until: None }
    }

    /// Creates a password that is sent only over verified TLS, for tokens and managed secrets.
    pub fn verified_tls_only(text: impl Into<String>) -> Self {
        Self { verified_tls_only: true, ..Self::new(text) }
    }

    /// Sets its expiry.
    #[must_use]
    pub fn with_good_until(mut self, end: SystemTime) -> Self {
        self.good_until = Some(end);
        self
    }

    /// Returns its expiry, if it has one.
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }

    /// Returns the text to a driver adapter, for the transport that it declares.
    ///
    /// # Errors
    ///
    /// A configuration error if the password requires verified TLS and the transport is less.
    pub fn expose_for(&self, transport: Transport) -> Result<&str> {
        if self.verified_tls_only && transport < Transport::VerifiedTls {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the password is a token or a managed secret, which requires verified TLS, but the \
                 connection does not verify the server",
            ));
        }
        Ok(&self.text)
    }

    /// Returns the text to blank out of a server's answer; never send or print it.
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
