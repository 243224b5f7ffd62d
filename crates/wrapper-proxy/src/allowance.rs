//! How much is read of what a peer says before there is a session.

use std::io;

/// What is left of the bytes that one side may send before the session is handed over.
///
/// Both sides are strangers until then: a limit for each message alone would let a server, or any
/// account of this machine, fill our memory by many.
pub(crate) struct Allowance(usize);

impl Allowance {
    /// What a server may send until its login is done, or in answer to one query of a plugin.
    pub(crate) const SERVER: usize = 1 << 20;

    /// What a client may send: PostgreSQL takes passwords of 64 KiB, MySQL attributes of as much.
    const CLIENT: usize = 128 * 1024;

    pub(crate) fn of_server() -> Self {
        Self(Self::SERVER)
    }

    pub(crate) fn of_client() -> Self {
        Self(Self::CLIENT)
    }

    /// Takes so many bytes, before they are read or memory is taken for them.
    pub(crate) fn take(&mut self, bytes: usize) -> io::Result<()> {
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, "more was sent than a login is long");
        self.0 = self.0.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}
