//! The attacks of a hostile server.

use std::path::PathBuf;

/// One attack of a hostile server; see [`MysqlServer::misbehave`](crate::MysqlServer::misbehave).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HostileBehavior {
    /// Asks for the password in clear text in place of a greeting.
    AskAtOnce,
    /// Asks for the password in clear text right after the greeting, before TLS can be set up.
    AskBehindGreeting,
    /// Asks for the password in clear text instead of the TLS handshake.
    AskInsteadOfTls,
    /// Asks for the password in clear text with or without TLS; with
    /// [`Fault::NoTls`](crate::Fault::NoTls).
    AskWithoutTls,
    /// Answers the first query with a request for a file on the client's machine.
    AskForFile(PathBuf),
    /// Greets with a packet far above every limit.
    Oversized,
    /// Answers the driver's own queries with text instead of numbers.
    Nonsense,
    /// Names a socket on the client's machine, which a careless client would connect to.
    Socket(PathBuf),
}
