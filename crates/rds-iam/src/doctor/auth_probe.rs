//! A login without a password, which shows whether MySQL asks this user for a token.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    negotiation::{MYSQL_REQUEST, negotiate, packet, read_packet},
    tls,
};
use crate::target::Target;

const LIMIT: Duration = Duration::from_secs(5);

/// Returns whether the server asks this user for a token; `None` if its answer does not show it.
///
/// A user with AWSAuthenticationPlugin is asked for the password in clear text; all others, missing
/// users included, for a hash of it. No secret is sent, but the server counts another failed login.
pub(super) async fn asks_for_token(target: &Target, address: SocketAddr) -> Option<bool> {
    timeout(LIMIT, ask(target, address)).await.ok()?.ok()?
}

async fn ask(target: &Target, address: SocketAddr) -> io::Result<Option<bool>> {
    let mut stream = TcpStream::connect(address).await?;
    if negotiate(target.engine, &mut stream).await.is_err() {
        return Ok(None);
    }
    let config = tls::config(tls::roots(&target.roots), None).map_err(io::Error::other)?;
    let mut stream = tls::connect(config, target.tls_name(), stream).await?;
    // With an empty password and a plugin that no user with a token has, the server must answer
    // with the plugin that it wants.
    let login = [&MYSQL_REQUEST, target.user.as_bytes(), b"\0\0caching_sha2_password\0"].concat();
    // Number 2: the request for TLS had number 1.
    stream.write_all(&packet(2, &login)).await?;
    stream.flush().await?;
    Ok(parse_answer(&read_packet(&mut stream).await?))
}

/// Reads an AuthSwitchRequest, or the packet in place of one:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html>.
fn parse_answer(answer: &[u8]) -> Option<bool> {
    match answer {
        [0xfe, request @ ..] => {
            Some(request.split(|byte| *byte == 0).next() == Some(b"mysql_clear_password"))
        }
        // Access denied, since the password is empty.
        [0xff, low, high, ..] => match u16::from_le_bytes([*low, *high]) {
            1045 | 1698 => Some(false),
            _ => None,
        },
        // The user has no password, or uses the named plugin.
        [0 | 1, ..] => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_for_the_cleartext_password_is_recognized() {
        assert_eq!(parse_answer(b"\xfemysql_clear_password\0"), Some(true));
        assert_eq!(parse_answer(b"\xfemysql_native_password\0saltsalt"), Some(false));
    }

    #[test]
    fn refusal_and_acceptance_are_recognized() {
        assert_eq!(parse_answer(b"\xff\x15\x04#28000Access denied"), Some(false));
        assert_eq!(parse_answer(b"\xff\x10\x04#08004Too many connections"), None);
        assert_eq!(parse_answer(b"\x00\x00\x00\x02\x00\x00\x00"), Some(false));
        assert_eq!(parse_answer(b""), None);
    }
}
