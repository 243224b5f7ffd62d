//! A limit on the bytes that a peer may send before its session is ready.

use std::io;

/// The remaining bytes that one side may send before the session is handed over.
///
/// Neither side is authenticated until then. A limit for each message alone would let a server, or
/// any account of this machine, fill the memory with many messages.
pub(crate) struct Allowance(usize);

impl Allowance {
    /// The limit for a server, until its login is done and for the answer to one plugin's query.
    pub(crate) const SERVER: usize = 1 << 20;

    /// The limit for a client: PostgreSQL takes passwords of 64 KiB, MySQL as much of attributes.
    const CLIENT: usize = 128 * 1024;

    pub(crate) fn of_server() -> Self {
        Self(Self::SERVER)
    }

    pub(crate) fn of_client() -> Self {
        Self(Self::CLIENT)
    }

    /// Deducts bytes, before they are read and before memory is allocated for them.
    ///
    /// # Errors
    ///
    /// `InvalidData` if fewer are left.
    pub(crate) fn take(&mut self, bytes: usize) -> io::Result<()> {
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, "the login is longer than the limit");
        self.0 = self.0.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}
