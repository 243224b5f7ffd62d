//! The real database behind a server.

use std::fmt;
use std::net::SocketAddr;

/// The address and user for sessions of accepted logins.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("addr", &self.addr).field("user", &self.user).finish_non_exhaustive()
    }
}
