//! The error of an attempt that ran out of time.

use std::time::Duration;

use crate::{
    ConnectRequest, Error, ErrorKind, adapter::Phase, events::CredentialsFailure, progress::Position,
};

impl ConnectRequest {
    /// The least time for a host or an address, regardless of the number that follow.
    pub const LEAST_SHARE: Duration = Duration::from_secs(2);

    /// Returns the error of an attempt that ran out of time, which names the phase, the host and
    /// the address that it had reached.
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
            Phase::Refused => ErrorKind::Login,
            _ => ErrorKind::Timeout,
        };
        Error::new(kind, message)
    }
}
