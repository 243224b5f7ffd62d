//! One connection from accept to close.

use std::io;
use std::sync::Arc;

use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use tokio::net::TcpStream;

use super::login::Welcome;
use super::wire::{Wire, error_response};
use super::{State, login, query};
use crate::fault::Phase;
use crate::record::{LoginAttempt, Outcome};
use crate::server_error::ServerError;
use crate::tls::POSTGRESQL_ALPN;

/// The first byte of a TLS handshake; an SSLRequest begins with the length 8.
const TLS_HANDSHAKE: u8 = 0x16;

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    let state = &*state;
    stream.set_nodelay(true)?;
    let mut attempt = LoginAttempt::new(state.record.clone(), state.token_policy.clone());
    state.faults.swallow().await;
    state.faults.pass(Phase::Accept).await?;
    let mut wire = negotiate(stream, state, &mut attempt).await?;
    match login::login(&mut wire, state, &mut attempt).await? {
        Some(Welcome::Here(session)) => {
            let terminated = session.terminated();
            // An answer that is ready goes before a request to end the session.
            tokio::select! {
                biased;
                served = query::serve(&mut wire, state, session) => served?,
                () = terminated => wire.send(error_response("FATAL", &ServerError::terminated())).await?,
            }
        }
        Some(Welcome::Behind(stream, _cancellable)) => wire.splice(stream).await?,
        None => {}
    }
    wire.close().await
}

/// Answers requests for encryption until the client starts TLS or continues without it.
async fn negotiate(stream: TcpStream, state: &State, attempt: &mut LoginAttempt) -> io::Result<Wire> {
    let mut first = [0];
    // Peeked: the bytes belong to the TLS stack, or to the decoder of messages.
    let is_direct = stream.peek(&mut first).await? == 1 && first[0] == TLS_HANDSHAKE;
    let mut wire = Wire::new(stream);
    if is_direct {
        if state.refuses_tls() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        return encrypt(wire, state, attempt, is_direct).await;
    }
    loop {
        match wire.read().await? {
            Some(PgWireFrontendMessage::SslNegotiation(request)) => match request {
                SslNegotiationMetaMessage::PostgresSsl(_) if state.refuses_tls() => {
                    wire.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await?;
                }
                SslNegotiationMetaMessage::PostgresSsl(_) => {
                    wire.send(PgWireBackendMessage::SslResponse(SslResponse::Accept)).await?;
                    return encrypt(wire, state, attempt, is_direct).await;
                }
                // The client may go on to ask for TLS on the same connection.
                SslNegotiationMetaMessage::PostgresGss(_) => {
                    wire.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await?;
                }
                SslNegotiationMetaMessage::None => {
                    wire.expect_startup();
                    return Ok(wire);
                }
            },
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

async fn encrypt(wire: Wire, state: &State, attempt: &mut LoginAttempt, is_direct: bool) -> io::Result<Wire> {
    state.faults.pass(Phase::Tls).await?;
    let (wire, handshake) = match wire.encrypt(state.tls_config()?).await {
        Ok(encrypted) => encrypted,
        Err(error) => {
            attempt.end(Outcome::TlsFailed, error.to_string());
            return Err(error);
        }
    };
    attempt.entry.tls = true;
    attempt.entry.server_name = handshake.server_name;
    // Without this check another protocol's client could be tricked into talking to the server
    // (ALPACA).
    if is_direct && handshake.protocol.as_deref() != Some(POSTGRESQL_ALPN) {
        attempt.end(Outcome::TlsFailed, "direct TLS without ALPN");
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(wire)
}
