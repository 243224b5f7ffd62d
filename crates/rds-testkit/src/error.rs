//! The error of setting up a server.

use std::fmt;

/// A [`Result`](std::result::Result) with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Explains why a server could not start.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Cause>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A certificate could not be made, for example for a name that is not a DNS name.
    Certificate,
    /// A value given to the builder is invalid.
    Configuration,
    /// The operating system refused a port, a file or random bytes.
    Io,
}

impl Error {
    /// Returns the kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn certificate(message: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self { kind: ErrorKind::Certificate, message: message.into(), cause: Some(cause.into()) }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Configuration, message: message.into(), cause: None }
    }

    pub(crate) fn io(message: impl Into<String>, cause: std::io::Error) -> Self {
        Self { kind: ErrorKind::Io, message: message.into(), cause: Some(cause.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}
