//! The driver's own configuration, for programs that connect by themselves.

use std::{fmt, time::SystemTime};

use tokio_postgres::Config;

use crate::Tls;

/// Holds a configuration of tokio-postgres that contains a password, the TLS to use with it, and
/// its expiry.
///
/// For programs that insist on making their own connection: migration tools, or a pool without a
/// hook. After [`good_until`](Self::good_until) new connections need a new one; open connections
/// live on.
///
/// # Security
///
/// The password in it is a token, which neither this type's `Debug` nor the driver's shows. Always
/// connect with [`tls`](Self::tls), which verifies the server; the driver sends nothing without
/// TLS.
#[derive(Clone)]
pub struct DriverConfig {
    config: Config,
    tls: Tls,
    good_until: Option<SystemTime>,
}

impl DriverConfig {
    pub(crate) fn new(config: Config, tls: Tls, good_until: Option<SystemTime>) -> Self {
        Self { config, tls, good_until }
    }

    /// Returns the configuration: `config.config().connect(config.tls())`.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the TLS connector to connect with.
    pub fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Returns the expiry of the token in it; `None` if the password is not a token.
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }

    /// Returns both parts.
    pub fn into_parts(self) -> (Config, Tls) {
        (self.config, self.tls)
    }
}

impl fmt::Debug for DriverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverConfig")
            .field("hosts", &self.config.get_hosts())
            .field("user", &self.config.get_user())
            .field("good_until", &self.good_until)
            .finish_non_exhaustive()
    }
}
