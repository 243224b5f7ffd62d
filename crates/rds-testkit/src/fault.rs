//! Faults that a test injects.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::gate::Gate;
use crate::server_error::ServerError;
use crate::tls::CertificateAuthority;

/// One fault; see [`PostgresServer::inject`](crate::PostgresServer::inject).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Asks an IAM user for another proof than the clear-text password that carries a token.
    Ask(PasswordMethod),
    /// Accepts a connection and neither reads nor writes on it, like a firewall that drops all
    /// packets.
    ///
    /// The client's data fills the system's buffers; only the client or a cut ends the connection.
    BlackHole,
    /// Presents an expired certificate.
    CertificateExpired,
    /// Presents a certificate of another authority, for the right names.
    CertificateFrom(CertificateAuthority),
    /// Presents a certificate for another name, of the server's own authority.
    CertificateFor(String),
    /// Closes the connection at a phase.
    Drop(Phase),
    /// Puts the password into the refusal's text, as a careless server would.
    EchoPassword,
    /// Reads a statement and sends nothing from then on, with the connection open: a stopped
    /// process or stalled disk.
    Freeze,
    /// Waits at a phase until the gate opens.
    Hang(Phase, Gate),
    /// Answers that TLS is not supported.
    NoTls,
    /// Sends the first half of a statement's answer, in bytes, and closes the connection.
    PartialResult,
    /// Refuses a login that has sent its password, overriding the rules.
    Refuse(ServerError),
}

/// The moments of a connection at which a server can hang or hang up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// The connection is open, nothing has been read.
    Accept,
    /// TLS was agreed on, the handshake has not begun.
    Tls,
    /// The user and database are known, no password has been asked for.
    Startup,
    /// The password has arrived, no verdict has been given.
    Login,
    /// The login is accepted, the server has not said that it is ready.
    Ready,
    /// A command of a session, even a ping, has arrived, no answer has been given.
    Command,
    /// A statement has arrived and has not been answered; while it hangs there, it can be
    /// cancelled.
    Query,
}

/// How the server asks for a password.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PasswordMethod {
    /// Clear text, the only form that can carry a token.
    #[default]
    Cleartext,
    /// An MD5 hash, always refused: it lets clients see the request, which no server should make.
    Md5,
    /// SCRAM-SHA-256 without channel binding; passwords are used as they are, without SASLprep.
    ScramSha256,
    /// No password request.
    Trust,
}

/// The faults in force, each with its remaining number of times, `None` for always.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Fault, Option<usize>)>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault, times: Option<usize>) {
        if times != Some(0) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((fault, times));
        }
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Consumes one use of the oldest fault that `pick` selects.
    pub(crate) fn take<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Searched and consumed under one lock: two connections never share the use of one fault.
        let (at, picked) =
            faults.iter().enumerate().find_map(|(at, (fault, _))| pick(fault).map(|picked| (at, picked)))?;
        match &mut faults[at].1 {
            Some(1) => drop(faults.remove(at)),
            Some(left) => *left -= 1,
            None => {}
        }
        Some(picked)
    }

    /// Never returns if the connection is to be a black hole.
    pub(crate) async fn swallow(&self) {
        if self.take(|fault| matches!(fault, Fault::BlackHole).then_some(())).is_some() {
            std::future::pending::<()>().await;
        }
    }

    /// Hangs, freezes or fails if a fault is set for the next statement; returns whether its answer
    /// must be truncated.
    pub(crate) async fn pass_query(&self) -> io::Result<bool> {
        if self.take(|fault| matches!(fault, Fault::Freeze).then_some(())).is_some() {
            // Only a cut ends this, as the task then drops the connection.
            std::future::pending::<()>().await;
        }
        self.pass(Phase::Query).await?;
        Ok(self.take(|fault| matches!(fault, Fault::PartialResult).then_some(())).is_some())
    }

    /// Hangs or fails if a fault is set for this phase.
    pub(crate) async fn pass(&self, phase: Phase) -> io::Result<()> {
        let gate = self.take(|fault| match fault {
            Fault::Hang(at, gate) if *at == phase => Some(gate.clone()),
            _ => None,
        });
        if let Some(gate) = gate {
            gate.pass().await;
        }
        // After the gate, so that one phase can hang first and then drop the connection.
        match self.take(|fault| matches!(fault, Fault::Drop(at) if *at == phase).then_some(())) {
            Some(()) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            None => Ok(()),
        }
    }
}
