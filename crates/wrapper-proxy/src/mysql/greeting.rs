//! The server's greeting.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>

use super::{
    packet::{Pieces, capability},
    proof::Method,
};

/// Capabilities withheld from clients: TLS is used towards the server only, and a login has one
/// factor.
const WITHHELD: u32 = capability::SSL | capability::MULTI_FACTOR | capability::SSL_VERIFY;

/// Capabilities after which only the client can read the session.
pub(crate) const COMPRESSION: u32 = capability::COMPRESS | capability::ZSTD;

/// Capabilities that a login by a token needs on both sides.
const NEEDED: u32 = capability::PROTOCOL_41 | capability::SECURE_CONNECTION | capability::PLUGIN_AUTH;

/// A server's greeting, parsed as far as the proxy changes it.
#[derive(Clone)]
pub(crate) struct Greeting {
    payload: Vec<u8>,
    pub(crate) capabilities: u32,
    withheld: u32,
    /// The positions of the two halves of the capabilities, and of the plugin's name.
    low: usize,
    high: usize,
    plugin: usize,
    pub(crate) nonce: Vec<u8>,
    /// The authentication method announced to clients.
    pub(crate) announced: Method,
}

impl Greeting {
    /// Parses a greeting; `None` if it is malformed or of a server that cannot take tokens.
    pub(crate) fn parse(payload: Vec<u8>) -> Option<Self> {
        let at = |pieces: &Pieces<'_>| payload.len() - pieces.0.len();
        let mut pieces = Pieces(&payload);
        if pieces.byte()? != 10 {
            return None;
        }
        pieces.text();
        // The thread id stays as it is, since clients use it in KILL.
        pieces.number()?;
        let mut nonce = pieces.bytes(8)?.to_vec();
        pieces.byte()?;
        let low = at(&pieces);
        let low_bytes = pieces.bytes(2)?;
        // Character set and status.
        pieces.bytes(3)?;
        let high = at(&pieces);
        let high_bytes = pieces.bytes(2)?;
        let capabilities = u32::from_le_bytes([low_bytes[0], low_bytes[1], high_bytes[0], high_bytes[1]]);
        let length = usize::from(pieces.byte()?);
        // Reserved; MariaDB has its extended capabilities here.
        pieces.bytes(10)?;
        // The second part of the nonce has at least 13 bytes and ends with a NUL.
        nonce.extend_from_slice(pieces.bytes(length.saturating_sub(8).max(13))?);
        nonce.truncate(20);
        let plugin = at(&pieces);
        let announced = Method::named(pieces.text()).unwrap_or(Method::Native);
        let fits = capabilities & NEEDED == NEEDED;
        let withheld = WITHHELD;
        fits.then_some(Self { payload, capabilities, withheld, low, high, plugin, nonce, announced })
    }

    /// Withholds compression as well, since plugins query the session before the client has it.
    #[must_use]
    pub(crate) fn without_compression(self) -> Self {
        Self { withheld: self.withheld | COMPRESSION, ..self }
    }

    /// Returns whether the server offers TLS.
    pub(crate) fn offers_tls(&self) -> bool {
        self.capabilities & capability::SSL != 0
    }

    /// Returns the capabilities offered to clients.
    pub(crate) fn offered(&self) -> u32 {
        self.capabilities & !self.withheld
    }

    /// Returns the greeting for a client: the server's, without the withheld capabilities and with
    /// the announced method.
    pub(crate) fn for_client(&self) -> Vec<u8> {
        let [a, b, c, d] = self.offered().to_le_bytes();
        let mut payload = self.payload[..self.plugin].to_vec();
        payload[self.low..self.low + 2].copy_from_slice(&[a, b]);
        payload[self.high..self.high + 2].copy_from_slice(&[c, d]);
        payload.extend_from_slice(self.announced.name().as_bytes());
        payload.push(0);
        payload
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn greeting(capabilities: u32, plugin: &str) -> Vec<u8> {
        let [a, b, c, d] = capabilities.to_le_bytes();
        let parts: [&[u8]; 8] = [
            b"\x0a8.0.39\0\x07\x01\0\0abcdefgh\0",
            &[a, b],
            &[45, 2, 0],
            &[c, d],
            &[21],
            &[0, 0, 0, 0, 0, 0, 9, 8, 7, 6],
            b"ijklmnopqrst\0",
            plugin.as_bytes(),
        ];
        [&parts.concat()[..], b"\0"].concat()
    }

    #[test]
    fn client_reads_the_servers_greeting_without_tls() {
        let sent = greeting(NEEDED | WITHHELD | capability::CONNECT_WITH_DB, "caching_sha2_password");
        let read = Greeting::parse(sent.clone()).expect("is read");
        assert!(read.offers_tls());
        assert_eq!(
            (read.announced, read.nonce.as_slice()),
            (Method::CachingSha2, &b"abcdefghijklmnopqrst"[..])
        );

        let told = Greeting::parse(read.for_client()).expect("is read");

        assert_eq!(told.capabilities, NEEDED | capability::CONNECT_WITH_DB);
        assert_eq!(told.for_client().len(), sent.len());
        // Version, thread, nonce, status and MariaDB's bits are the server's.
        let differ = sent.iter().zip(read.for_client()).filter(|(a, b)| **a != *b).count();
        assert_eq!(differ, 2);
    }

    #[test]
    fn compression_is_withheld_where_plugins_query() {
        let read = Greeting::parse(greeting(NEEDED | COMPRESSION, "x")).expect("is read");
        assert_eq!(read.offered(), NEEDED | COMPRESSION);

        let told = Greeting::parse(read.without_compression().for_client()).expect("is read");

        assert_eq!(told.capabilities, NEEDED);
    }

    #[test]
    fn unknown_auth_method_is_announced_as_native_password() {
        let read = Greeting::parse(greeting(NEEDED, "unix_socket")).expect("is read");
        assert_eq!(read.announced, Method::Native);
        assert!(read.for_client().ends_with(b"mysql_native_password\0") && !read.offers_tls());
    }

    #[test]
    fn greeting_wrong() {
        let right = greeting(NEEDED, "x");
        for length in 0..right.len() - 2 {
            assert!(Greeting::parse(right[..length].to_vec()).is_none(), "{length}");
        }
        assert!(Greeting::parse(greeting(capability::PROTOCOL_41, "x")).is_none());
        assert!(Greeting::parse(b"SSH-2.0-OpenSSH".to_vec()).is_none());
    }
}
