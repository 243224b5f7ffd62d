//! The driver's own options, for programs that connect by themselves.

use std::{fmt, time::SystemTime};

use mysql_async::Opts;

/// Holds options of mysql_async that contain a password and verified TLS, and their expiry.
///
/// For programs that insist on making their own connection, such as refinery, which takes a
/// `mysql_async::Pool`. After [`good_until`](Self::good_until) new connections need new options;
/// open connections live on.
///
/// # Security
///
/// The password in them is a token, and **the driver's `Debug` of `Opts`, `Pool` and `Conn` prints
/// it**: this type's does not, so log this one, and none of those.
#[derive(Clone)]
pub struct DriverConfig {
    opts: Opts,
    good_until: Option<SystemTime>,
}

impl DriverConfig {
    pub(crate) fn new(opts: Opts, good_until: Option<SystemTime>) -> Self {
        Self { opts, good_until }
    }

    /// Returns the options.
    pub fn opts(&self) -> &Opts {
        &self.opts
    }

    /// Returns the options, for the driver: `mysql_async::Pool::new(config.into_opts())`.
    pub fn into_opts(self) -> Opts {
        self.opts
    }

    /// Returns the expiry of the token in them; `None` if the password is not a token.
    pub fn good_until(&self) -> Option<SystemTime> {
        self.good_until
    }
}

impl fmt::Debug for DriverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverConfig")
            .field("host", &self.opts.ip_or_hostname())
            .field("user", &self.opts.user())
            .field("good_until", &self.good_until)
            .finish_non_exhaustive()
    }
}
