//! The error of this crate.

use std::{error::Error as StdError, fmt, sync::Arc};

/// The result of everything that can fail here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Explains why a token could not be provided.
///
/// It is cheap to clone, so that all callers of one attempt get the same error. The message is one
/// clause that names the offending value, never a secret, and the remedy; the cause is only in
/// [`source`](StdError::source).
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is invalid; trying again does not help.
    Configuration,
    /// Credentials are missing.
    Credentials(CredentialsFailure),
    /// The host is not one that a token can be signed for.
    Host,
    /// The region is missing or malformed.
    Region,
    /// The token could not be signed.
    Token,
}

/// The reasons for missing credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsFailure {
    /// They are past their expiry.
    Expired,
    /// The configured source failed.
    Failed,
    /// No source is configured.
    NotConfigured,
    /// The source gave no answer in time.
    TimedOut,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    pub(crate) fn credentials(failure: CredentialsFailure, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Credentials(failure), message)
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        self.0.kind == ErrorKind::Credentials(CredentialsFailure::TimedOut)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
