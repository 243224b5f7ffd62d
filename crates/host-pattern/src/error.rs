//! The error of parsing a host name, region or instance pattern.

use std::{error, fmt};

/// Explains why a text is not a host name, region or instance pattern.
///
/// The message names what was found and where it belongs. It repeats the input only where that is
/// made of a host name's own characters, so it never shows user info, a query or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Error {}

/// The kinds of [`Error`]: what was found instead of a host name, region or instance pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A control character, a non-ASCII character, or another one that a host name cannot contain.
    Character,
    /// An empty text.
    Empty,
    /// An unknown kind of endpoint.
    EndpointKind,
    /// An instance id that is not one label of a DNS name.
    InstanceId,
    /// A malformed IP address, or an IP address where a pattern was expected.
    Ip,
    /// An empty label, or one of more than 63 characters.
    Label,
    /// A name of more than 253 characters.
    Length,
    /// Several hosts, separated by commas.
    List,
    /// An unknown partition id.
    Partition,
    /// A path or a query, as behind the host of a URL.
    Path,
    /// A pattern that names no instance: of a proxy, a cluster, a shard group or DSQL.
    PatternKind,
    /// A `?` in a host name, or a pattern that does not have exactly one beside a domain.
    Placeholder,
    /// A port after a host name, or one after a pattern that is not a number from 1 to 65535.
    Port,
    /// Text that does not have the shape of a region.
    Region,
    /// A URL.
    Scheme,
    /// A `key=value` piece.
    Setting,
    /// User info (`user:password@`).
    UserInfo,
    /// A blank, tab or line break.
    Whitespace,
    /// An IPv6 address with a zone id (`fe80::1%eth0`).
    ZoneId,
}
