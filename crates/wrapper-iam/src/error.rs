//! Errors of the token provider as errors of a connect.

use iam_token_provider as provider;
use wrapper_core::{Error, ErrorKind, events::CredentialsFailure};

/// Returns the error of a connect that failed because there is no token.
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
        // The text is the error's own, so only what is behind it is a cause.
        Some(_) => connect_error.with_source(Cause(error.clone())),
        None => connect_error,
    }
}

/// The cause behind an error of the provider, which is shared and cannot be taken out.
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
