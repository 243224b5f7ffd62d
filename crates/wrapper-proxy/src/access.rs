//! Who may use the proxy.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The other end of a local connection, as the operating system identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A client of a TCP port, which can be any account.
    Tcp,
    /// A client of a Unix socket.
    Unix {
        /// The id of the client's user.
        uid: u32,
        /// The id of the client's primary group.
        gid: u32,
    },
}

/// Decides who may use the proxy: on a Unix socket by account, on a TCP port by a local password.
#[derive(Clone)]
pub struct Access {
    owner: u32,
    uids: Vec<u32>,
    gids: Vec<u32>,
    password: Option<LocalPassword>,
}

impl Access {
    /// Admits the account that runs this process to Unix sockets, and every client that knows the
    /// password to TCP ports.
    pub fn new(password: LocalPassword) -> Self {
        Self { password: Some(password), ..Self::without_password() }
    }

    /// Admits the account that runs this process to Unix sockets, and every account to TCP ports.
    ///
    /// # Security
    ///
    /// Every account of this machine can then use the database as the target's user through a port.
    pub fn without_password() -> Self {
        let owner = rustix::process::geteuid().as_raw();
        Self { owner, uids: Vec::new(), gids: Vec::new(), password: None }
    }

    /// Admits another account to Unix sockets.
    #[must_use]
    pub fn allow_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// Admits accounts whose primary group is this one to Unix sockets.
    ///
    /// Socket and folder are given to the first admitted group, of which the account that runs this
    /// process must be a member. An existing folder may belong to any admitted group. Accounts of
    /// the other admitted groups reach the folder only if they are members of its group as well.
    #[must_use]
    pub fn allow_gid(mut self, gid: u32) -> Self {
        self.gids.push(gid);
        self
    }

    /// Returns whether other accounts may use a Unix socket, so that its folder must admit them.
    pub(crate) fn is_shared(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty()
    }

    /// Returns the group that a socket and its folder are given to: the first admitted one.
    pub(crate) fn group(&self) -> Option<u32> {
        self.gids.first().copied()
    }

    /// Returns whether accounts of a group are admitted.
    pub(crate) fn admits_group(&self, gid: u32) -> bool {
        self.gids.contains(&gid)
    }

    /// Returns whether a peer may connect.
    pub(crate) fn admits(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp => true,
            Peer::Unix { uid, gid } => {
                uid == self.owner || self.uids.contains(&uid) || self.admits_group(gid)
            }
        }
    }

    /// Returns the password that a peer must prove; `None` on a Unix socket, or without a password.
    pub(crate) fn password_for(&self, peer: Peer) -> Option<&LocalPassword> {
        match peer {
            Peer::Tcp => self.password.as_ref(),
            // The account was checked by `admits` when the connection was accepted.
            Peer::Unix { .. } => None,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("owner", &self.owner)
            .field("uids", &self.uids)
            .field("gids", &self.gids)
            .field("password", &self.password.is_some())
            .finish()
    }
}

/// The password of the proxy's own TCP ports, compared in constant time and never printed.
#[derive(Clone)]
pub struct LocalPassword(Zeroizing<Vec<u8>>);

impl LocalPassword {
    /// The least length in bytes: a password on a port can be guessed at any rate.
    const MIN_LENGTH: usize = 12;

    /// Creates a password from a secret of at least 12 bytes.
    ///
    /// # Errors
    ///
    /// An error that does not show the password, if it is too short or holds a NUL byte.
    pub fn new(text: impl Into<Vec<u8>>) -> Result<Self, InvalidPassword> {
        let text = Zeroizing::new(text.into());
        match text.len() >= Self::MIN_LENGTH && !text.contains(&0) {
            true => Ok(Self(text)),
            false => Err(InvalidPassword),
        }
    }

    /// Compares a client's proof with the one that `prove` computes from the password.
    pub(crate) fn is_proved(&self, sent: &[u8], prove: impl FnOnce(&[u8]) -> Vec<u8>) -> bool {
        prove(&self.0).ct_eq(sent).into()
    }

    /// Compares a client's password in a time that depends on the lengths only.
    pub(crate) fn matches(&self, sent: &[u8]) -> bool {
        self.0.as_slice().ct_eq(sent).into()
    }
}

impl fmt::Debug for LocalPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalPassword(redacted)")
    }
}

/// The error of a local password that is too short, or that no client could send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPassword;

impl fmt::Display for InvalidPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = LocalPassword::MIN_LENGTH;
        write!(f, "invalid local password: use at least {least} bytes and no NUL")
    }
}

impl std::error::Error for InvalidPassword {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_on_a_unix_socket_are_identified_by_their_ids() {
        let own = rustix::process::geteuid().as_raw();
        let access = Access::without_password().allow_uid(own + 7).allow_gid(4_000);
        let unix = |uid, gid| access.admits(Peer::Unix { uid, gid });

        assert!(unix(own, 1) && unix(own + 7, 1) && unix(own + 1, 4_000));
        assert!(!unix(own + 1, 1) && !unix(4_000, own));
        assert!(access.is_shared() && !Access::without_password().is_shared());
    }

    #[test]
    fn password_is_required_on_tcp_ports_only() {
        let password = LocalPassword::new("correct horse").expect("long enough");
        let access = Access::new(password);

        let asked = access.password_for(Peer::Tcp).expect("asked for");
        assert!(asked.matches(b"correct horse"));
        assert!(!asked.matches(b"correct horsf") && !asked.matches(b"") && !asked.matches(b"correct horse "));
        assert!(access.password_for(Peer::Unix { uid: 0, gid: 0 }).is_none());
        assert!(!format!("{access:?}").contains("horse"));
    }

    #[test]
    fn password_wrong() {
        assert_eq!(LocalPassword::new("short").expect_err("short"), InvalidPassword);
        assert!(LocalPassword::new(*b"long enough\0but").is_err());
        assert!(InvalidPassword.to_string().contains("12 bytes"));
    }
}
