//! What a hostile server tries, and the ways to greet.

use std::path::PathBuf;

/// The way of proving a password that a server's greeting names; tokens need another, for which it asks later.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AuthPlugin {
    /// `caching_sha2_password`, the default of MySQL 8.
    #[default]
    CachingSha2,
    /// `mysql_native_password`, the default of MySQL 5.7 and MariaDB.
    Native,
}

/// One thing that a hostile server does; see [`MysqlServer::play`](crate::MysqlServer::play).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Trick {
    /// Asks for the password in clear text in place of a greeting.
    AskAtOnce,
    /// Asks for the password in clear text right behind the greeting, before TLS can stand.
    AskBehindGreeting,
    /// Asks for the password in clear text where the TLS handshake should come.
    AskInsteadOfTls,
    /// Asks for the password in clear text whether TLS stands or not; with [`Fault::NoTls`](crate::Fault::NoTls).
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

impl AuthPlugin {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::CachingSha2, Self::Native].into_iter().find(|plugin| plugin.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
        }
    }
}
