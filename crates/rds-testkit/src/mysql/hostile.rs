//! What a hostile server tries.

use std::path::PathBuf;

/// One thing that a hostile server does; see
/// [`MysqlServer::misbehave`](crate::MysqlServer::misbehave).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HostileBehavior {
    /// Asks for the password in clear text in place of a greeting.
    AskAtOnce,
    /// Asks for the password in clear text right behind the greeting, before TLS can stand.
    AskBehindGreeting,
    /// Asks for the password in clear text where the TLS handshake should come.
    AskInsteadOfTls,
    /// Asks for the password in clear text whether TLS stands or not; with
    /// [`Fault::NoTls`](crate::Fault::NoTls).
    AskWithoutTls,
    /// Answers the first query by asking for a file of the client's machine.
    AskForFile(PathBuf),
    /// Greets with a packet that is far over every limit.
    Oversized,
    /// Answers the client's own queries with text where numbers belong.
    Nonsense,
    /// Names a socket on the client's machine, to which a careless client moves.
    Socket(PathBuf),
}
