//! How a MySQL server wants a user's password, by which it shows what its refusal hides.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{
    negotiation::{MYSQL_REQUEST, agree, packet, read_packet},
    tls,
};
use crate::target::Target;

const LIMIT: Duration = Duration::from_secs(5);

/// Returns whether the server asks this user for a token; none if it does not say.
///
/// A user with AWSAuthenticationPlugin is asked for the password as it is, every other one, and one
/// who does not exist, for a proof of another kind. Nothing secret is sent, but the server counts
/// one more login that came to nothing.
pub(super) async fn is_a_token(target: &Target, address: SocketAddr) -> Option<bool> {
    timeout(LIMIT, ask(target, address)).await.ok()?.ok()?
}

async fn ask(target: &Target, address: SocketAddr) -> io::Result<Option<bool>> {
    let mut stream = TcpStream::connect(address).await?;
    if agree(target.engine, &mut stream).await.is_err() {
        return Ok(None);
    }
    let config = tls::config(tls::roots(&target.roots), None).map_err(io::Error::other)?;
    let mut stream = tls::connect(config, target.tls_name(), stream).await?;
    // The password has no bytes, and a plugin is named that no user with a token has: the server
    // must say what it wants.
    let login = [&MYSQL_REQUEST, target.user.as_bytes(), b"\0\0caching_sha2_password\0"].concat();
    stream.write_all(&packet(2, &login)).await?;
    stream.flush().await?;
    Ok(judge(&read_packet(&mut stream).await?))
}

/// Reads the request to prove the password otherwise, or what comes in its place.
fn judge(answer: &[u8]) -> Option<bool> {
    match answer {
        [0xfe, request @ ..] => {
            Some(request.split(|byte| *byte == 0).next() == Some(b"mysql_clear_password"))
        }
        // Access is denied for the lack of a password.
        [0xff, low, high, ..] => match u16::from_le_bytes([*low, *high]) {
            1045 | 1698 => Some(false),
            _ => None,
        },
        // The user is let in without a password, or the server goes on with the plugin that was
        // named.
        [0 | 1, ..] => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_for_the_password_as_it_is() {
        assert_eq!(judge(b"\xfemysql_clear_password\0"), Some(true));
        assert_eq!(judge(b"\xfemysql_native_password\0saltsalt"), Some(false));
    }

    #[test]
    fn refusal_and_agreement() {
        assert_eq!(judge(b"\xff\x15\x04#28000Access denied"), Some(false));
        assert_eq!(judge(b"\xff\x10\x04#08004Too many connections"), None);
        assert_eq!(judge(b"\x00\x00\x00\x02\x00\x00\x00"), Some(false));
        assert_eq!(judge(b""), None);
    }
}
