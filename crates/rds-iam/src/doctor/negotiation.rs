//! The exchange in clear text before TLS: MySQL's greeting, and the request for TLS.

use std::{fmt, io};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wrapper_core::{ServerError, text::sanitize_server_text};

use crate::cli::Engine;

/// Length and code of the request for TLS:
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const POSTGRES_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The capability flag CLIENT_SSL.
const MYSQL_SSL: u16 = 1 << 11;

/// CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH.
const MYSQL_CAPABILITIES: u32 = 0x200 | MYSQL_SSL as u32 | 0x8000 | 0x8_0000;

/// The request for TLS, which every login begins with: capabilities, the longest packet, the
/// character set utf8mb4, and 23 bytes that are unused.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html>
pub(super) const MYSQL_REQUEST: [u8; 32] = {
    let mut request = [0; 32];
    let ([a, b, c, d], length) = (MYSQL_CAPABILITIES.to_le_bytes(), 0xff_ff_ffu32.to_le_bytes());
    (request[0], request[1], request[2], request[3]) = (a, b, c, d);
    (request[4], request[5], request[6]) = (length[0], length[1], length[2]);
    request[8] = 45;
    request
};

/// Why TLS could not begin.
#[derive(Debug)]
pub(super) enum NegotiationError {
    Closed(io::Error),
    NoTls,
    /// The server refuses this client before it knows the user.
    Refused(ServerError),
    /// The server speaks another protocol; its first words, if these are text.
    OtherProtocol(Service, String),
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(error) => write!(f, "the connection was lost: {error}"),
            Self::NoTls => f.write_str("the server does not support TLS"),
            Self::Refused(answer) => answer.fmt(f),
            Self::OtherProtocol(service, words) if words.is_empty() => write!(f, "{service} answered"),
            Self::OtherProtocol(service, words) => write!(f, "{service} answered `{words}`"),
        }
    }
}

/// A service that is not the database, as far as its first bytes show it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    Http,
    Mail,
    Mysql,
    Other,
    Ssh,
}

impl Service {
    /// Guesses the service, and returns the text at the beginning of what it sent.
    fn guess(bytes: &[u8]) -> (Self, &[u8]) {
        let service = match bytes {
            // A packet of MySQL with number 0 and protocol version 10 is its greeting, in which the
            // version of the server follows.
            [_, _, _, 0, 10, version @ ..] => return (Self::Mysql, first_words(version)),
            // It may refuse instead: 255, a code from 1,024 on in two bytes, and the text.
            [_, _, _, 0, 0xff, _, 4, text @ ..] => return (Self::Mysql, first_words(text)),
            bytes if bytes.starts_with(b"SSH-") => Self::Ssh,
            bytes if bytes.starts_with(b"HTTP/") => Self::Http,
            bytes if bytes.starts_with(b"220") => Self::Mail,
            _ => Self::Other,
        };
        (service, first_words(bytes))
    }
}

/// Returns the bytes before the first control character.
fn first_words(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(u8::is_ascii_control).unwrap_or(bytes.len());
    &bytes[..end.min(64)]
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "an HTTP server",
            Self::Mail => "a mail or FTP server",
            Self::Mysql => "a MySQL or MariaDB server",
            Self::Other => "another service",
            Self::Ssh => "an SSH server",
        })
    }
}

/// Exchanges the packets before the TLS handshake.
pub(super) async fn negotiate(engine: Engine, stream: &mut TcpStream) -> Result<(), NegotiationError> {
    match engine {
        Engine::Mysql => negotiate_mysql(stream).await,
        Engine::Postgres => negotiate_postgres(stream).await,
    }
}

async fn negotiate_postgres(stream: &mut TcpStream) -> Result<(), NegotiationError> {
    stream.write_all(&POSTGRES_REQUEST).await.map_err(NegotiationError::Closed)?;
    // PostgreSQL answers with one byte and waits. Another service sends more, which can begin with
    // the same byte.
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).await.map_err(NegotiationError::Closed)?;
    match &answer[..length] {
        [] => Err(NegotiationError::Closed(io::ErrorKind::UnexpectedEof.into())),
        b"S" => Ok(()),
        b"N" => Err(NegotiationError::NoTls),
        // A refusal of MySQL with 69 bytes begins with an E as well. An ErrorResponse of 255 bytes
        // has text where the code is.
        other @ [_, 0, 0, 0, 0xff, _, 4, ..] => Err(other_protocol(other)),
        [b'E', 0, 0, _, _, fields @ ..] => Err(refused_by_postgres(fields)),
        other => Err(other_protocol(other)),
    }
}

/// Reads an ErrorResponse in place of the answer, from a server that cannot start a session.
fn refused_by_postgres(fields: &[u8]) -> NegotiationError {
    let field = |wanted: u8| {
        let mut fields = fields.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&wanted))?;
        Some(String::from_utf8_lossy(&found[1..]).into_owned())
    };
    match (field(b'C'), field(b'M')) {
        // Servers before SSLRequest take it for an unknown protocol version.
        (Some(code), _) if code == "0A000" || code == "08P01" => NegotiationError::NoTls,
        (Some(code), Some(text)) => NegotiationError::Refused(ServerError::new(code, &text, None)),
        _ => NegotiationError::NoTls,
    }
}

async fn negotiate_mysql(stream: &mut TcpStream) -> Result<(), NegotiationError> {
    // The server speaks first in MySQL; a service that waits for its client runs into the time
    // limit.
    let header = read_header(stream).await.map_err(NegotiationError::Closed)?;
    // The first packet has number 0. Anything else is text, and its first bytes are no length.
    if header[3] != 0 {
        let mut more = [0; 64];
        let length = stream.read(&mut more).await.unwrap_or_default();
        return Err(other_protocol(&[&header[..], &more[..length]].concat()));
    }
    let greeting = read_body(stream, header).await.map_err(NegotiationError::Closed)?;
    match greeting.first() {
        Some(0xff) => return Err(refused(&greeting)),
        Some(10) => {}
        _ => return Err(other_protocol(&greeting)),
    }
    let offered = capabilities(&greeting).ok_or_else(|| other_protocol(&greeting))?;
    if offered & MYSQL_SSL == 0 {
        return Err(NegotiationError::NoTls);
    }
    let request = packet(1, &MYSQL_REQUEST);
    stream.write_all(&request).await.map_err(NegotiationError::Closed)
}

/// Returns the lower half of the capabilities: behind version, thread id, 8 bytes of the
/// challenge and a NUL.
fn capabilities(greeting: &[u8]) -> Option<u16> {
    let version = greeting.iter().skip(1).position(|byte| *byte == 0)?;
    let at = 1 + version + 1 + 4 + 8 + 1;
    Some(u16::from_le_bytes([*greeting.get(at)?, *greeting.get(at + 1)?]))
}

fn refused(packet: &[u8]) -> NegotiationError {
    match packet {
        [_, low, high, text @ ..] => {
            let code = u16::from_le_bytes([*low, *high]);
            NegotiationError::Refused(ServerError::new(code, &String::from_utf8_lossy(text), None))
        }
        _ => other_protocol(packet),
    }
}

fn other_protocol(bytes: &[u8]) -> NegotiationError {
    let (service, words) = Service::guess(bytes);
    NegotiationError::OtherProtocol(service, sanitize_server_text(&String::from_utf8_lossy(words), None))
}

/// Returns a MySQL packet with its header: three bytes of length, one of sequence number.
pub(super) fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, number], body].concat()
}

/// Reads a MySQL packet.
pub(super) async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let header = read_header(stream).await?;
    read_body(stream, header).await
}

async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; 4]> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    Ok(header)
}

/// Reads the body of a packet, up to 1,024 bytes: greetings are shorter.
async fn read_body(stream: &mut (impl AsyncRead + Unpin), header: [u8; 4]) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut body = Vec::new();
    stream.take(length.min(1024).into()).read_to_end(&mut body).await?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_begins_with_its_capabilities() {
        assert_eq!(MYSQL_REQUEST[..9], [0, 0x8a, 8, 0, 0xff, 0xff, 0xff, 0, 45]);
    }

    #[test]
    fn greeting_truncated() {
        assert_eq!(capabilities(b"\x0a8.0.39"), None);
        assert_eq!(capabilities(b"\x0a8.0.39\0\x01\0\0\0saltsalt\0\0"), None);
        assert_eq!(capabilities(b"\x0a8.0.39\0\x01\0\0\0saltsalt\0\0\x0a"), Some(0x0a00));
    }
}
