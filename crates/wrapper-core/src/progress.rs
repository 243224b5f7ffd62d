//! Where an attempt stands, for the error that says what was going on when the time ran out.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Names a part of a connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for the TCP connection.
    Dial,
    /// Waiting for the server's answer to the login.
    Login,
    /// Somewhere between TCP connection and login, with a driver that does not say where.
    Open,
    /// In a plugin, such as waiting for credentials.
    #[default]
    Plugins,
    /// Waiting for the name to be resolved.
    Resolve,
    /// Waiting for the TLS handshake.
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Dial => "opening the tcp connection",
            Phase::Login => "logging in",
            Phase::Open => "opening the connection",
            Phase::Plugins => "waiting for a plugin",
            Phase::Resolve => "resolving the host name",
            Phase::Tls => "in the tls handshake",
        })
    }
}

/// Notes the phase and the address that one attempt is in; clones share the note.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<(Phase, Option<SocketAddr>)>>);

impl Progress {
    /// Notes that a phase begins; the address stays.
    pub fn enter(&self, phase: Phase) {
        self.lock().0 = phase;
    }

    /// Notes that an address is dialled.
    pub fn dial(&self, address: SocketAddr) {
        *self.lock() = (Phase::Dial, Some(address));
    }

    /// The phase that the attempt is in.
    pub fn phase(&self) -> Phase {
        self.lock().0
    }

    /// The address that was dialled last.
    pub fn address(&self) -> Option<SocketAddr> {
        self.lock().1
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Phase, Option<SocketAddr>)> {
        // Two plain values: no panic can leave them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
