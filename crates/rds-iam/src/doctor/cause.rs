//! Why a login fails, and the remedy.

use serde::Serialize;

use wrapper_core::text::escape_control;

/// A reason with its remedy; codes are stable across releases.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cause {
    pub(super) code: String,
    pub(super) text: String,
}

/// The causes that the doctor itself finds; those of a refused login have the library's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    CertificateEndsSoon,
    CertificateExpired,
    ClockOff,
    ConnectionClosed,
    CredentialsExpired,
    CredentialsFailed,
    CredentialsMissing,
    CredentialsRefused,
    HostName,
    NotReady,
    Other,
    OtherService,
    Parameters,
    PortClosed,
    Region,
    Secret,
    SignedPort,
    TimedOut,
    TlsNotOffered,
    Topology,
    Unreachable,
    Unresolved,
    UnknownIssuer,
    WrongName,
}

impl Cause {
    /// Creates a cause; control characters in the text are escaped.
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code: code.name().to_owned(), text: escape_control(&text.into()) }
    }
}

impl From<&wrapper_core::Cause> for Cause {
    fn from(cause: &wrapper_core::Cause) -> Self {
        Self { code: cause.code().to_owned(), text: cause.to_string() }
    }
}

impl Code {
    /// Returns the code as it is printed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CertificateEndsSoon => "certificate-ends-soon",
            Self::CertificateExpired => "certificate-expired",
            Self::ClockOff => "clock-off",
            Self::ConnectionClosed => "connection-closed",
            Self::CredentialsExpired => "credentials-expired",
            Self::CredentialsFailed => "credentials-failed",
            Self::CredentialsMissing => "credentials-missing",
            Self::CredentialsRefused => "credentials-refused",
            Self::HostName => "host-name",
            Self::NotReady => "not-ready",
            Self::Other => "other",
            Self::OtherService => "other-service",
            Self::Parameters => "parameters",
            Self::PortClosed => "port-closed",
            Self::Region => "region",
            Self::Secret => "secret",
            Self::SignedPort => "signed-port",
            Self::TimedOut => "timed-out",
            Self::TlsNotOffered => "tls-not-offered",
            Self::Topology => "topology",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
            Self::UnknownIssuer => "unknown-issuer",
            Self::WrongName => "wrong-name",
        }
    }
}
