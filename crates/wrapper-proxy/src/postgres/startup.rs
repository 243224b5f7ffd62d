//! The first packets of a PostgreSQL client.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// The server's own limit: `MAX_STARTUP_PACKET_LENGTH` in its `pqcomm.h`.
const MAX_LENGTH: u32 = 10_000;
const LENGTH_AND_CODE: u32 = 8;

/// The first packet of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstPacket {
    /// Asks to cancel the query of the session with this key. The key is opaque: 8 bytes in
    /// protocol 3.0, up to 260 in 3.2.
    Cancel(Vec<u8>),
    /// Asks for TLS or GSSAPI; the answer is one byte, and the client sends another first packet.
    Encryption,
    Startup(Startup),
}

/// The startup packet of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Startup {
    version: u32,
    /// Names and values in the client's order; the bytes are in the encoding that the client chose.
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a first packet is invalid.
#[derive(Debug)]
pub(crate) enum InvalidPacket {
    Ended(io::Error),
    Foreign,
    Malformed,
    Version(u32, u32),
}

impl fmt::Display for InvalidPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error) => write!(f, "connection closed within the first packet: {error}"),
            Self::Foreign => f.write_str(
                "not a PostgreSQL client, or one that starts with TLS (`sslnegotiation=direct`): turn \
                 SSL off",
            ),
            Self::Malformed => f.write_str("malformed startup packet"),
            Self::Version(major, minor) => {
                write!(f, "unsupported protocol version {major}.{minor}: use version 3")
            }
        }
    }
}

impl From<io::Error> for InvalidPacket {
    fn from(error: io::Error) -> Self {
        Self::Ended(error)
    }
}

/// Reads one first packet.
///
/// # Cancel safety
///
/// Not cancel safe: a partly read packet is lost, so the connection must be closed.
pub(crate) async fn first_packet(
    client: &mut (impl AsyncRead + Unpin),
) -> Result<FirstPacket, InvalidPacket> {
    let length = client.read_u32().await?;
    // The first bytes of HTTP and TLS, read as a length, are far above the limit.
    if !(LENGTH_AND_CODE..=MAX_LENGTH).contains(&length) {
        return Err(InvalidPacket::Foreign);
    }
    let code = client.read_u32().await?;
    let mut rest = vec![0; (length - LENGTH_AND_CODE) as usize];
    client.read_exact(&mut rest).await?;
    match code {
        SSL_REQUEST | GSS_REQUEST if rest.is_empty() => Ok(FirstPacket::Encryption),
        SSL_REQUEST | GSS_REQUEST => Err(InvalidPacket::Malformed),
        CANCEL_REQUEST => Ok(FirstPacket::Cancel(rest)),
        version if version >> 16 == 3 => Startup::parse(version, &rest).map(FirstPacket::Startup),
        version => Err(InvalidPacket::Version(version >> 16, version & 0xffff)),
    }
}

impl Startup {
    /// Creates the startup packet of a session of the proxy itself.
    pub(crate) fn new(application_name: &str) -> Self {
        let parameters = vec![(b"application_name".to_vec(), application_name.as_bytes().to_vec())];
        Self { version: 3 << 16, parameters }
    }

    fn parse(version: u32, mut bytes: &[u8]) -> Result<Self, InvalidPacket> {
        let mut parameters = Vec::new();
        loop {
            let name = until_nul(&mut bytes)?;
            if name.is_empty() {
                break;
            }
            parameters.push((name.to_vec(), until_nul(&mut bytes)?.to_vec()));
        }
        match bytes {
            [] => Ok(Self { version, parameters }),
            _ => Err(InvalidPacket::Malformed),
        }
    }

    /// Returns a parameter's last value, which is the one that the server uses.
    fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.parameters.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Returns the user that the client asks for; an empty name counts as absent.
    pub(crate) fn user(&self) -> Option<&[u8]> {
        self.get(b"user").filter(|user| !user.is_empty())
    }

    /// Returns the database that the client asks for.
    pub(crate) fn database(&self) -> Option<&[u8]> {
        self.get(b"database").filter(|database| !database.is_empty())
    }

    /// Returns whether the client asks for physical replication, in which a server takes no SQL;
    /// with `replication=database` it does.
    pub(crate) fn is_physical_replication(&self) -> bool {
        // The server reads the value as a Boolean, of which a unique prefix is enough:
        // <https://www.postgresql.org/docs/current/datatype-boolean.html>.
        let value = self.get(b"replication").unwrap_or_default().to_ascii_lowercase();
        let is_prefix = |word: &[u8]| !value.is_empty() && word.starts_with(&value);
        is_prefix(b"true") || is_prefix(b"yes") || matches!(&value[..], b"on" | b"1")
    }

    /// Returns the packet for the server: everything as the client sent it except the user, and the
    /// database if the client only sent its default.
    ///
    /// Clients default the database to the user's name, and so does the server; with another user
    /// both would mean another database. `configured` replaces that default.
    pub(crate) fn for_user(&self, user: &str, configured: Option<&str>) -> Vec<u8> {
        let asked = self.database().filter(|database| Some(*database) != self.user());
        let database = asked.or(configured.map(str::as_bytes)).or(self.database()).or(self.user());
        let mut body = self.version.to_be_bytes().to_vec();
        let mut put = |name: &[u8], value: &[u8]| {
            for text in [name, value] {
                body.extend_from_slice(text);
                body.push(0);
            }
        };
        put(b"user", user.as_bytes());
        if let Some(database) = database {
            put(b"database", database);
        }
        let is_replaced = |name: &[u8]| matches!(name, b"user" | b"database");
        for (name, value) in self.parameters.iter().filter(|(name, _)| !is_replaced(name)) {
            put(name, value);
        }
        body.push(0);
        with_length(&body)
    }
}

/// Returns the packet that asks a server for TLS.
pub(crate) fn ssl_request() -> [u8; 8] {
    let mut packet = [0; 8];
    packet[..4].copy_from_slice(&LENGTH_AND_CODE.to_be_bytes());
    packet[4..].copy_from_slice(&SSL_REQUEST.to_be_bytes());
    packet
}

/// Returns the packet that asks a server to cancel the query of a key.
pub(crate) fn cancel_request(key: &[u8]) -> Vec<u8> {
    let mut body = CANCEL_REQUEST.to_be_bytes().to_vec();
    body.extend_from_slice(key);
    with_length(&body)
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

fn until_nul<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], InvalidPacket> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(InvalidPacket::Malformed)?;
    let (text, rest) = bytes.split_at(end);
    *bytes = &rest[1..];
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(version: u32, pairs: &[(&str, &str)]) -> Startup {
        let pair = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Startup { version, parameters: pairs.iter().map(pair).collect() }
    }

    async fn read(mut bytes: &[u8]) -> Result<FirstPacket, InvalidPacket> {
        first_packet(&mut bytes).await
    }

    fn framed(code: u32, rest: &[u8]) -> Vec<u8> {
        with_length(&[&code.to_be_bytes(), rest].concat())
    }

    #[tokio::test]
    async fn requests_for_encryption_and_cancels_are_distinguished() {
        assert_eq!(read(&ssl_request()).await.expect("reads"), FirstPacket::Encryption);
        assert_eq!(read(&framed(GSS_REQUEST, b"")).await.expect("reads"), FirstPacket::Encryption);
        let key = vec![7; 260];
        assert_eq!(read(&cancel_request(&key)).await.expect("reads"), FirstPacket::Cancel(key));
    }

    #[tokio::test]
    async fn startup_keeps_version_order_and_unknown_pairs() {
        let version = 3 << 16 | 2;
        let pairs = [
            ("user", "root"),
            ("_pq_.x", "1"),
            ("options", "-c a=b"),
            ("database", "app"),
            ("replication", "true"),
        ];
        let asked = startup(version, &pairs);
        let body = asked.for_user("root", None);
        let FirstPacket::Startup(read) = read(&body).await.expect("reads") else { panic!("a startup") };

        assert_eq!(read.version, version);
        let names: Vec<_> = read.parameters.iter().map(|(name, _)| &name[..]).collect();
        let expected = ["user", "database", "_pq_.x", "options", "replication"].map(str::as_bytes);
        assert_eq!(names, expected);
        assert_eq!(read.database(), Some(&b"app"[..]));
    }

    #[tokio::test]
    async fn database_of_the_client_counts_unless_it_is_only_its_default() {
        let check = async |pairs: &[(&str, &str)], configured: Option<&str>, expected: Option<&str>| {
            let packet = startup(3 << 16, pairs).for_user("jane", configured);
            let FirstPacket::Startup(sent) = read(&packet).await.expect("reads") else { panic!("a startup") };
            assert_eq!(sent.user(), Some(&b"jane"[..]));
            assert_eq!(sent.database(), expected.map(str::as_bytes), "{pairs:?}");
        };
        check(&[("user", "root"), ("database", "sales")], Some("app"), Some("sales")).await;
        check(&[("user", "root"), ("database", "root")], Some("app"), Some("app")).await;
        check(&[("user", "root"), ("database", "root")], None, Some("root")).await;
        check(&[("user", "root")], Some("app"), Some("app")).await;
        // The server would take the replaced user's name.
        check(&[("user", "root")], None, Some("root")).await;
        check(&[], None, None).await;
    }

    #[test]
    fn physical_replication_is_distinguished_from_replication_of_a_database() {
        for (value, expected) in [
            ("true", true),
            ("TRUE", true),
            ("t", true),
            ("y", true),
            ("yes", true),
            ("on", true),
            ("1", true),
            ("database", false),
            ("false", false),
            ("off", false),
            ("o", false),
            ("0", false),
            ("", false),
            ("truer", false),
        ] {
            let startup = startup(3 << 16, &[("replication", value)]);
            assert_eq!(startup.is_physical_replication(), expected, "{value}");
        }
        assert!(!Startup::new("test").is_physical_replication());
    }

    #[tokio::test]
    async fn packet_of_another_protocol_is_refused() {
        let message = async |bytes: &[u8]| read(bytes).await.expect_err("no packet").to_string();

        assert!(message(b"GET / HTTP/1.1\r\n\r\n").await.contains("not a PostgreSQL client"));
        assert!(
            message(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03").await.contains("not a PostgreSQL client")
        );
        assert!(message(&framed(2 << 16, b"")).await.contains("protocol version 2.0"));
        assert!(message(&framed(4 << 16 | 1, b"")).await.contains("protocol version 4.1"));
        for rest in [&b"user"[..], b"user\0", b"user\0jane\0", b"user\0jane\0\0more", b""] {
            assert!(message(&framed(3 << 16, rest)).await.contains("malformed"), "{rest:?}");
        }
        assert!(message(&framed(SSL_REQUEST, b"x")).await.contains("malformed"));
        assert!(message(&[0, 0, 0]).await.contains("closed within"));
        assert!(message(&[0, 0, 0, 7, 0, 3, 0]).await.contains("not a PostgreSQL client"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("builds");
            if let Ok(FirstPacket::Startup(startup)) = runtime.block_on(read(&bytes)) {
                let packet = startup.for_user("jane", Some("app"));
                proptest::prop_assert!(runtime.block_on(read(&packet)).is_ok());
            }
        }
    }
}
