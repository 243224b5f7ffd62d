//! What passes in clear text before TLS: a greeting, and the request for TLS.

use std::{fmt, io};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wrapper_core::{ServerError, sanitize_server_text};

use crate::cli::Engine;

/// Length and code of the request for TLS: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const POSTGRES_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// CLIENT_SSL among the capabilities that a server of MySQL names.
const MYSQL_SSL: u16 = 1 << 11;

/// CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH.
const MYSQL_CAPABILITIES: u32 = 0x200 | MYSQL_SSL as u32 | 0x8000 | 0x8_0000;

/// The request for TLS, which every login begins with: capabilities, the longest packet, the character set utf8mb4, and 23
/// bytes that are unused.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html>
pub(super) const MYSQL_REQUEST: [u8; 32] = {
    let mut request = [0; 32];
    let ([a, b, c, d], length) = (MYSQL_CAPABILITIES.to_le_bytes(), 0xff_ff_ffu32.to_le_bytes());
    (request[0], request[1], request[2], request[3]) = (a, b, c, d);
    (request[4], request[5], request[6]) = (length[0], length[1], length[2]);
    request[8] = 45;
    request
};

/// The answer of a server that does not begin with TLS.
#[derive(Debug)]
pub(super) enum Unwilling {
    Closed(io::Error),
    NoTls,
    /// It turns this client away, whoever logs in.
    Refused(ServerError),
    /// It speaks another protocol, in these words.
    Stranger(String),
}

impl fmt::Display for Unwilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(error) => write!(f, "the connection broke off: {error}"),
            Self::NoTls => f.write_str("the server does not do tls"),
            Self::Refused(answer) => answer.fmt(f),
            Self::Stranger(words) => write!(f, "what answers is of another kind, and says `{words}`"),
        }
    }
}

/// Comes to the point at which the TLS handshake follows.
pub(super) async fn agree(engine: Engine, stream: &mut TcpStream) -> Result<(), Unwilling> {
    match engine {
        Engine::Mysql => agree_with_mysql(stream).await,
        Engine::Postgres => agree_with_postgres(stream).await,
    }
}

async fn agree_with_postgres(stream: &mut TcpStream) -> Result<(), Unwilling> {
    stream.write_all(&POSTGRES_REQUEST).await.map_err(Unwilling::Closed)?;
    match stream.read_u8().await.map_err(Unwilling::Closed)? {
        b'S' => Ok(()),
        // An error, in place of the answer, is how servers without the request say no.
        b'N' | b'E' => Err(Unwilling::NoTls),
        first => {
            let mut more = [0; 64];
            let length = stream.read(&mut more).await.unwrap_or_default();
            Err(stranger(&[&[first], &more[..length]].concat()))
        }
    }
}

async fn agree_with_mysql(stream: &mut TcpStream) -> Result<(), Unwilling> {
    let greeting = read_packet(stream).await.map_err(Unwilling::Closed)?;
    match greeting.first() {
        Some(0xff) => return Err(refused(&greeting)),
        Some(10) => {}
        _ => return Err(stranger(&greeting)),
    }
    let offered = capabilities(&greeting).ok_or_else(|| stranger(&greeting))?;
    if offered & MYSQL_SSL == 0 {
        return Err(Unwilling::NoTls);
    }
    let request = packet(1, &MYSQL_REQUEST);
    stream.write_all(&request).await.map_err(Unwilling::Closed)
}

/// The lower half of the capabilities: behind version, thread, 8 bytes to prove the password with, and a NUL.
fn capabilities(greeting: &[u8]) -> Option<u16> {
    let version = greeting.iter().skip(1).position(|byte| *byte == 0)?;
    let at = 1 + version + 1 + 4 + 8 + 1;
    Some(u16::from_le_bytes([*greeting.get(at)?, *greeting.get(at + 1)?]))
}

fn refused(packet: &[u8]) -> Unwilling {
    match packet {
        [_, low, high, text @ ..] => {
            let code = u16::from_le_bytes([*low, *high]);
            Unwilling::Refused(ServerError::new(code, &String::from_utf8_lossy(text), None))
        }
        _ => stranger(packet),
    }
}

fn stranger(bytes: &[u8]) -> Unwilling {
    let begin = &bytes[..bytes.len().min(64)];
    Unwilling::Stranger(sanitize_server_text(String::from_utf8_lossy(begin).trim_end(), None))
}

/// A packet of MySQL's with its header: three bytes of length, one of its number.
pub(super) fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, number], body].concat()
}

/// Reads a packet of MySQL's; what is longer than any greeting is cut off.
pub(super) async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
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
    fn greeting_cut_short() {
        assert_eq!(capabilities(b"\x0a8.0.39"), None);
        assert_eq!(capabilities(b"\x0a8.0.39\0\x01\0\0\0saltsalt\0\0"), None);
        assert_eq!(capabilities(b"\x0a8.0.39\0\x01\0\0\0saltsalt\0\0\x0a"), Some(0x0a00));
    }
}
