//! The name that a server's certificate has to carry.

use std::{fmt, sync::Arc};

use host_pattern::{Endpoint, EndpointKind};

use crate::{Error, ErrorKind, Result};

/// Names the certificate that a server must present.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerName {
    name: Arc<str>,
    trusted: bool,
}

impl ServerName {
    /// Creates a name from a configuration string, which a plugin may refuse.
    ///
    /// # Errors
    ///
    /// A configuration error if it is not a DNS name.
    pub fn from_configuration(name: &str) -> Result<Self> {
        Self::new(name, false)
    }

    /// Creates a name that the program itself chose.
    ///
    /// # Errors
    ///
    /// As [`from_configuration`](Self::from_configuration).
    pub fn from_code(name: &str) -> Result<Self> {
        Self::new(name, true)
    }

    /// Checks the name, because the TLS libraries do not: native-tls takes `.evil.example` for a
    /// wildcard.
    fn new(name: &str, trusted: bool) -> Result<Self> {
        let wrong = |reason: &str| {
            let message =
                format!("`tlsServerName` must be a DNS name, as on the server's certificate: {reason}");
            Error::new(ErrorKind::Configuration, message)
        };
        let endpoint = Endpoint::parse(name).map_err(|error| wrong(&error.to_string()))?;
        if endpoint.kind() == EndpointKind::Ip {
            return Err(wrong("this is an IP address"));
        }
        Ok(Self { name: endpoint.as_str().into(), trusted })
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns whether the program itself chose it, not a configuration string.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)
    }
}
