//! Detection of other services at the address of a database.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use wrapper_core::{ConnectRequest, Engine, Error, ErrorKind, text::sanitize_server_text};

/// The time limit for the whole probe.
const LIMIT: Duration = Duration::from_secs(1);

/// The time limit for each answer.
const TURN: Duration = Duration::from_millis(300);

/// The number of bytes that identify a service.
const SHOWN: usize = 64;

/// PostgreSQL's request for TLS:
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Probes the request's address once more and returns an error that names the service there; `None`
/// if it is a server of the engine or does not identify itself.
///
/// Only for failures that suggest another service: nothing secret is sent, but a MySQL server would
/// count one more client that disconnects before its login, and blocks an address after a hundred
/// in a row (`max_connect_errors`).
pub async fn other_service(engine: Engine, request: &ConnectRequest) -> Option<Error> {
    let words = timeout(LIMIT, ask(engine, request.progress().address()?)).await.ok()?.ok()?;
    let shown = describe(engine, &words)?;
    let place = request.address_label();
    Some(Error::new(
        ErrorKind::Configuration,
        format!("{place} is not a {engine} server but {shown}: check host and port"),
    ))
}

async fn ask(engine: Engine, address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    if engine == Engine::Mysql {
        // A MySQL server speaks first, as others do. Of a service that does not, a PostgreSQL
        // server answers its request for TLS, and TLS and text protocols answer it with an error.
        for question in [&[], &SSL_REQUEST[..], b"\r\n\r\n"] {
            stream.write_all(question).await?;
            if let Ok(words) = timeout(TURN, read(&mut stream)).await {
                return words;
            }
        }
        return Ok(Vec::new());
    }
    // A PostgreSQL server waits for the client; most others greet first, or answer this with an
    // error.
    stream.write_all(&SSL_REQUEST).await?;
    read(&mut stream).await
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut words = vec![0; SHOWN];
    let length = stream.read(&mut words).await?;
    words.truncate(length);
    Ok(words)
}

/// Names a service by its first bytes; `None` for those of the engine, or without any.
fn describe(engine: Engine, words: &[u8]) -> Option<String> {
    // A packet of MySQL's has its length in three bytes and its number, 0, in the fourth; a
    // greeting or an error follow.
    let is_mysql = matches!(words, [_, _, _, 0, 9 | 10 | 0xff, ..]);
    // Yes, no, or an error of a server that knows no TLS.
    let is_postgres = matches!(words, [b'S' | b'N'] | [b'E', 0, ..]);
    let name = match words {
        [] => return None,
        _ if is_mysql && engine == Engine::Mysql || is_postgres && engine == Engine::Postgres => return None,
        _ if is_mysql => "a MySQL server",
        _ if is_postgres => "a PostgreSQL server",
        [b'S', b'S', b'H', b'-', ..] => "an SSH server",
        [b'H', b'T', b'T', b'P', b'/', ..] => "an HTTP server",
        // An alert or a handshake.
        [0x15 | 0x16, 3, ..] => "a TLS server",
        _ => {
            let text = sanitize_server_text(String::from_utf8_lossy(words).trim_end(), None);
            return Some(format!("a service that says `{text}`"));
        }
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_identified_by_their_first_bytes() {
        let check = |engine, words: &[u8], name: Option<&str>| {
            assert_eq!(describe(engine, words).as_deref(), name, "{words:?}");
        };
        check(Engine::Mysql, b"SSH-2.0-x\r\n", Some("an SSH server"));
        check(Engine::Postgres, b"HTTP/1.1 400", Some("an HTTP server"));
        check(Engine::Postgres, b"\x15\x03\x01\0\x02", Some("a TLS server"));
        check(Engine::Postgres, b"\x4a\0\0\0\x0a8.4.0", Some("a MySQL server"));
        check(Engine::Mysql, b"-ERR\x1b\r\n", Some("a service that says `-ERR\\u{1b}`"));
        check(Engine::Mysql, b"S", Some("a PostgreSQL server"));
        check(Engine::Mysql, b"\x4a\0\0\0\x0a8.4.0", None);
        check(Engine::Mysql, b"\x10\0\0\0\xff\x15\x04", None);
        for words in [b"".as_slice(), b"S", b"N", b"E\0\0\0\x20SFATAL"] {
            check(Engine::Postgres, words, None);
        }
    }
}
