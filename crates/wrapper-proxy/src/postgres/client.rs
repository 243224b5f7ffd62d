//! The client's side of a login, up to the session that it asks for.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use wrapper_core::{Error, ErrorKind, events::CredentialsFailure};

use super::{
    message::{Message, error_response},
    startup::{FirstPacket, InvalidPacket, Startup, first_packet},
};
use crate::{
    access::LocalPassword,
    admission::{Refused, UserNames},
    allowance::Allowance,
    limits::Handshake,
};

/// libpq requests GSSAPI, then TLS, and then sends its startup packet.
const MAX_ENCRYPTION_REQUESTS: usize = 2;

/// The request of a client's connection.
pub(crate) enum ClientRequest {
    Cancel(Vec<u8>),
    Session(Startup),
}

/// Reads a client's request, and declines encryption, which loopback does not need.
pub(crate) async fn client_request(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    handshake: &Handshake,
) -> Result<ClientRequest, Refused> {
    // Each refused request is followed by another first packet, so the count needs a limit.
    for _ in 0..=MAX_ENCRYPTION_REQUESTS {
        match first_packet(client).await {
            Ok(FirstPacket::Encryption) => {
                client.write_all(b"N").await?;
                client.flush().await?;
                handshake.restart_grace();
            }
            Ok(FirstPacket::Cancel(key)) => return Ok(ClientRequest::Cancel(key)),
            Ok(FirstPacket::Startup(startup)) => return Ok(ClientRequest::Session(startup)),
            Err(InvalidPacket::Ended(error)) => return Err(error.into()),
            Err(packet) => {
                send(client, &error_response("0A000", &format!("rds-iam: {packet}"), None)).await?;
                return Err(Refused::new(packet.to_string()));
            }
        }
    }
    Err(Refused::new("too many requests for encryption"))
}

/// Refuses a client that names a user that does not stand for the target's.
pub(crate) async fn check_user(
    client: &mut (impl AsyncWrite + Unpin),
    startup: &Startup,
    names: &UserNames,
) -> Result<(), Refused> {
    if startup.user().is_none_or(|user| names.accept(user)) {
        return Ok(());
    }
    send(client, &error_response("28000", &names.refusal(), None)).await?;
    Err(Refused::new("the client asked for another user"))
}

/// Asks a client for the local password.
pub(crate) async fn check_password(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    password: &LocalPassword,
    handshake: &Handshake,
) -> Result<(), Refused> {
    // AuthenticationCleartextPassword: the connection does not leave the machine, and every client
    // supports it.
    const CLEARTEXT: [u8; 4] = 3_u32.to_be_bytes();
    send(client, &Message::new(b'R', &CLEARTEXT)).await?;
    handshake.restart_grace();
    let answer = Message::read(client, &mut Allowance::of_client()).await?;
    let is_right = {
        let sent = answer.body().strip_suffix(&[0]).unwrap_or_default();
        answer.tag() == b'p' && password.matches(sent)
    };
    // It holds the client's attempt at the password.
    answer.zeroize();
    if is_right {
        return Ok(());
    }
    let message = "rds-iam: wrong local password: use the one that the proxy was started with";
    send(client, &error_response("28P01", message, None)).await?;
    Err(Refused::new("wrong local password"))
}

/// Creates a client's error: the server's own code and message, with the explanation as the detail.
pub(crate) fn client_error(error: &Error) -> Message {
    let causes = error.diagnosis().iter().take(3).enumerate();
    let causes: String = causes.map(|(index, cause)| format!("\n  {}. {cause}", index + 1)).collect();
    match error.server() {
        Some(server) => {
            let detail = format!("{}{causes}", error.message());
            error_response(server.code(), server.text(), Some(&detail))
        }
        None => {
            let message = format!("rds-iam: {}", error.message());
            let detail = causes.trim_start();
            error_response(code(error.kind()), &message, Some(detail).filter(|detail| !detail.is_empty()))
        }
    }
}

/// Returns the SQLSTATE of a failure without a server's answer:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Credentials(CredentialsFailure::TimedOut) => "08001",
        ErrorKind::Credentials(_) | ErrorKind::Login | ErrorKind::Region | ErrorKind::Token => "28000",
        ErrorKind::Throttled => "53300",
        ErrorKind::Transient | ErrorKind::WrongInstance => "57P03",
        _ => "08001",
    }
}

/// Sends one message.
pub(crate) async fn send(client: &mut (impl AsyncWrite + Unpin), message: &Message) -> io::Result<()> {
    client.write_all(message.as_bytes()).await?;
    client.flush().await
}
