//! The client's login packet, and the one made of it for the server.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html>

use super::packet::{Pieces, capability};

/// The length of capabilities, longest packet, character set and filler; an SSLRequest consists of
/// these alone.
const HEAD: usize = 32;

/// A client's login packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) capabilities: u32,
    /// Longest packet, character set, and the filler, in which MariaDB has extended capabilities.
    head: Vec<u8>,
    pub(crate) user: Vec<u8>,
    pub(crate) proof: Vec<u8>,
    database: Vec<u8>,
    pub(crate) plugin: Vec<u8>,
    /// Connection attributes and the zstd level.
    rest: Vec<u8>,
}

/// Why a login packet is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidLogin {
    Malformed,
    Old,
    Tls,
}

impl InvalidLogin {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed login packet",
            Self::Old => "the client is older than MySQL 4.1: upgrade it",
            Self::Tls => "the proxy offers no TLS to local clients: turn it off in the client",
        }
    }
}

impl Login {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, InvalidLogin> {
        let mut pieces = Pieces(payload);
        let capabilities = pieces.number().ok_or(InvalidLogin::Malformed)?;
        let has = |wanted: u32| capabilities & wanted != 0;
        if !has(capability::PROTOCOL_41) {
            return Err(InvalidLogin::Old);
        }
        if has(capability::SSL) {
            return Err(InvalidLogin::Tls);
        }
        let mut read = || {
            let head = pieces.bytes(HEAD - 4)?.to_vec();
            let user = pieces.text().to_vec();
            let length = match () {
                () if has(capability::LENENC_PROOF) => pieces.length()?,
                () => pieces.byte()?.into(),
            };
            let proof = pieces.bytes(length)?.to_vec();
            let database = if has(capability::CONNECT_WITH_DB) { pieces.text() } else { &[] }.to_vec();
            let plugin = if has(capability::PLUGIN_AUTH) { pieces.text() } else { &[] }.to_vec();
            let rest = pieces.0.to_vec();
            Some(Self { capabilities, head, user, proof, database, plugin, rest })
        };
        read().ok_or(InvalidLogin::Malformed)
    }

    /// Creates the login of a session of the proxy itself.
    pub(crate) fn own() -> Self {
        // A longest packet of 16 MiB, and utf8mb4.
        let head = [&[0xff, 0xff, 0xff, 0, 45][..], &[0; 23]].concat();
        // CLIENT_LONG_PASSWORD and CLIENT_TRANSACTIONS; `for_user` adds what a login needs.
        let capabilities = capability::PROTOCOL_41 | 0x1 | 0x2000;
        let none = Vec::new;
        Self {
            capabilities,
            head,
            user: none(),
            proof: none(),
            database: none(),
            plugin: none(),
            rest: none(),
        }
    }

    /// Returns the SSLRequest and the login packet for a server that offers these capabilities.
    ///
    /// Servers go by the capabilities of the SSLRequest, so both packets have the same. The proof
    /// is empty and of the native method, so that the server asks for the token by an
    /// AuthSwitchRequest: with `mysql_clear_password` it would take the empty proof as the token.
    pub(crate) fn for_user(&self, user: &str, configured: Option<&str>, offered: u32) -> (Vec<u8>, Vec<u8>) {
        let named = Some(&self.database[..]).filter(|name| !name.is_empty());
        let database = named.or(configured.map(str::as_bytes));
        let mut wanted = self.capabilities & !capability::LENENC_PROOF & !capability::CONNECT_WITH_DB;
        wanted |= capability::PLUGIN_AUTH | capability::SECURE_CONNECTION | capability::SSL;
        if database.is_some() {
            wanted |= capability::CONNECT_WITH_DB;
        }
        let flags = wanted & (offered | capability::SSL);
        let head = [&flags.to_le_bytes()[..], &self.head].concat();
        let mut login = head.clone();
        login.extend_from_slice(user.as_bytes());
        login.extend_from_slice(&[0, 0]);
        if let Some(database) = database.filter(|_| flags & capability::CONNECT_WITH_DB != 0) {
            login.extend_from_slice(database);
            login.push(0);
        }
        login.extend_from_slice(b"mysql_native_password\0");
        login.extend_from_slice(&self.rest);
        (head, login)
    }

    /// Returns a login that the server refuses, which ends a connection in order.
    ///
    /// A connection that ends without a login counts towards `max_connect_errors`, a refused login
    /// does not; after 100 such connections the server blocks this machine (error 1129).
    pub(crate) fn farewell(offered: u32) -> Vec<u8> {
        let (mut head, _) = Self::own().for_user("", None, offered);
        let flags = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) & !capability::SSL;
        head[..4].copy_from_slice(&flags.to_le_bytes());
        [&head[..], b"rds-iam-gone\0\0mysql_native_password\0"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: u32 = capability::PROTOCOL_41
        | capability::SECURE_CONNECTION
        | capability::PLUGIN_AUTH
        | capability::CONNECT_WITH_DB
        | capability::LENENC_PROOF
        | 1 << 20
        | 1 << 5;

    fn sent() -> Vec<u8> {
        let mut payload = SENT.to_le_bytes().to_vec();
        payload.extend(1..29);
        payload.extend_from_slice(b"root\0\x03abcsales\0caching_sha2_password\0\x04\x01k\x01v");
        payload
    }

    #[test]
    fn login_for_the_server_keeps_all_but_user_and_proof() {
        let login = Login::parse(&sent()).expect("is read");
        assert_eq!((&login.user[..], &login.proof[..]), (&b"root"[..], &b"abc"[..]));

        let (head, whole) = login.for_user("jane", Some("app"), SENT);

        assert_eq!(head, whole[..32]);
        let flags = SENT & !capability::LENENC_PROOF | capability::SSL;
        assert_eq!(head[..4], flags.to_le_bytes());
        assert_eq!(head[4..], sent()[4..32]);
        assert_eq!(&whole[32..], b"jane\0\0sales\0mysql_native_password\0\x04\x01k\x01v");
    }

    #[test]
    fn capability_that_was_not_offered_is_not_requested_for_the_client() {
        let asked = SENT | capability::COMPRESS | capability::ZSTD | capability::MULTI_FACTOR;
        let payload = [&asked.to_le_bytes()[..], &[0; 28], b"a\0\0d\0p\0"].concat();
        let login = Login::parse(&payload).expect("is read");

        let (head, _) = login.for_user("jane", None, SENT & !capability::COMPRESS);

        let flags = SENT & !capability::LENENC_PROOF & !capability::COMPRESS | capability::SSL;
        assert_eq!(head[..4], flags.to_le_bytes());
    }

    #[test]
    fn database_of_the_target_counts_where_the_client_names_none() {
        let payload =
            [&(SENT & !capability::CONNECT_WITH_DB).to_le_bytes()[..], &[0; 28], b"a\0\0p\0"].concat();
        let login = Login::parse(&payload).expect("is read");

        let (head, whole) = login.for_user("jane", Some("app"), SENT);

        assert!(u32::from_le_bytes([head[0], head[1], head[2], head[3]]) & capability::CONNECT_WITH_DB != 0);
        assert_eq!(&whole[32..], b"jane\0\0app\0mysql_native_password\0");
        let (_, whole) = login.for_user("jane", None, SENT);
        assert_eq!(&whole[32..], b"jane\0\0mysql_native_password\0");
    }

    #[test]
    fn login_wrong() {
        assert_eq!(Login::parse(b""), Err(InvalidLogin::Malformed));
        assert_eq!(Login::parse(&[0; 40]), Err(InvalidLogin::Old));
        let tls = (SENT | capability::SSL).to_le_bytes();
        assert_eq!(Login::parse(&[&tls[..], &[0; 28]].concat()), Err(InvalidLogin::Tls));
        let endless =
            [&SENT.to_le_bytes()[..], &[0; 28], b"a\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff"].concat();
        assert_eq!(Login::parse(&endless), Err(InvalidLogin::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let with_flags = [&SENT.to_le_bytes()[..], &bytes].concat();
            for payload in [&bytes, &with_flags] {
                if let Ok(login) = Login::parse(payload) {
                    proptest::prop_assert!(login.for_user("jane", Some("app"), SENT).1.len() > 32);
                }
            }
        }
    }
}
