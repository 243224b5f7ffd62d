//! What is said of an attempt whose time is over.

use std::time::Duration;

use crate::{
    ConnectRequest, Error, ErrorKind, adapter::Phase, events::CredentialsFailure, progress::Position,
};

impl ConnectRequest {
    /// A host or an address is given this long at least, however many wait behind it.
    pub const LEAST_SHARE: Duration = Duration::from_secs(2);

    /// Returns the error of an attempt whose time is over: the phase, the host and the address that
    /// it was at.
    pub fn timed_out(&self, after: Duration) -> Error {
        let (host, place) = (self.host(), self.host_and_port());
        let Position { host: moved, phase, address, .. } = self.progress().position();
        let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
        // A plugin may have led the attempt to another host than the one that was asked for.
        let (at, there) = match moved.filter(|moved| **moved != *host) {
            Some(moved) => (String::new(), format!(" at `{moved}`{address}")),
            None => (address, String::new()),
        };
        let hint = match phase {
            Phase::Dial => ": a firewall or a security group may drop the packets",
            Phase::Credentials | Phase::Plugins => ": a source of credentials may be slow or out of reach",
            Phase::Open | Phase::Tls => ": check that the port is the database's own",
            _ => "",
        };
        let message =
            format!("no connection to `{place}`{at} within {after:.1?}, still {phase}{there}{hint}");
        let kind = match phase {
            Phase::Credentials => ErrorKind::Credentials(CredentialsFailure::TimedOut),
            _ => ErrorKind::Timeout,
        };
        Error::new(kind, message)
    }
}
