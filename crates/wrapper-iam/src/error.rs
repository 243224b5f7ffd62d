//! The errors of the token provider as connect errors.

use iam_token_provider as provider;
use wrapper_core::{Error, ErrorKind, events::CredentialsFailure};

/// Returns the connect error for a missing token.
pub fn connect_error(error: &provider::Error) -> Error {
    let kind = match error.kind() {
        provider::ErrorKind::Configuration => ErrorKind::Configuration,
        provider::ErrorKind::Credentials(failure) => ErrorKind::Credentials(match failure {
            provider::CredentialsFailure::Expired => CredentialsFailure::Expired,
            provider::CredentialsFailure::NotConfigured => CredentialsFailure::NotConfigured,
            provider::CredentialsFailure::TimedOut => CredentialsFailure::TimedOut,
            _ => CredentialsFailure::Failed,
        }),
        provider::ErrorKind::Host => ErrorKind::Host,
        provider::ErrorKind::Region => ErrorKind::Region,
        _ => ErrorKind::Token,
    };
    let connect_error = Error::new(kind, error.to_string());
    match std::error::Error::source(error) {
        // The message is already the error's own, so only its source becomes the cause.
        Some(_) => connect_error.with_source(Cause(error.clone())),
        None => connect_error,
    }
}

/// The cause of a provider's error, which is shared and cannot be moved out.
#[derive(Debug)]
struct Cause(provider::Error);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(cause) => std::fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)?.source()
    }
}
