//! One connection from the greeting to the close.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::forward::{Greeting, NOT_FORWARDED, Upstream};
use super::packet::{ASK_FOR_CLEAR_TEXT, OK, VERSION, capability};
use super::session::Session;
use super::wire::{Reader, Wire};
use super::{HostileBehavior, State, answer, login, session};
use crate::fault::Phase;
use crate::random;
use crate::record::{LoginAttempt, Outcome};
use crate::server_error::ServerError;

/// A request for TLS is the first 32 bytes of a login.
const TLS_REQUEST: usize = 32;

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    let state = &*state;
    stream.set_nodelay(true)?;
    let mut attempt = LoginAttempt::new(state.record.clone(), state.token_policy.clone());
    state.faults.swallow().await;
    state.faults.pass(Phase::Accept).await?;
    let mut wire = Wire::new(stream);
    // A NUL would terminate the nonce early.
    let nonce = random::bytes::<20>()?.map(|byte| byte & 0x7f | 0x40);
    let cancellable = state.journal.open(0);
    let upstream = match &state.forward {
        None => None,
        Some(target) => match Upstream::open(target).await {
            Ok(Ok(upstream)) => Some(upstream),
            Ok(Err(packet)) => return wire.send(&packet).await,
            Err(error) => return wire.send(&answer::packet(&unreachable(&error))).await,
        },
    };
    let greeting = upstream.as_ref().map(|upstream| &upstream.greeting);
    greet(&mut wire, state, &nonce, cancellable.session, greeting).await?;
    let mut packet = wire.read(state).await?;
    // Protocol::SSLRequest: the head of a login, cut before the user.
    if packet.len() == TLS_REQUEST && Reader(&packet).number()? & capability::SSL != 0 {
        wire = encrypt(wire, state, &mut attempt).await?;
        packet = wire.read(state).await?;
    }
    let Some(login) = login::login(&mut wire, state, &mut attempt, &packet, &nonce).await? else {
        return wire.close().await;
    };
    if let (Some(target), Some(upstream)) = (&state.forward, upstream) {
        return match upstream.log_in(target, &login).await {
            Ok((stream, answer)) => {
                wire.send(&answer).await?;
                wire.splice(stream).await
            }
            Err(error) => wire.send(&answer::packet(&unreachable(&error))).await,
        };
    }
    wire.send(OK).await?;
    let session = Session::new(login, cancellable);
    let terminated = session.terminated();
    tokio::select! {
        // The answer in progress is sent first, such as that of a session that ends itself.
        biased;
        served = session::serve(&mut wire, state, session) => served?,
        // MySQL sends nothing to a killed session.
        () = terminated => {}
    }
    wire.close().await
}

/// Reports why the session at the database behind could not be opened.
fn unreachable(error: &io::Error) -> ServerError {
    ServerError::new("1105", format!("rds-testkit: no session at the database behind: {error}"))
}

async fn greet(
    wire: &mut Wire,
    state: &State,
    nonce: &[u8; 20],
    thread: u32,
    upstream: Option<&Greeting>,
) -> io::Result<()> {
    if state.misbehaves(&HostileBehavior::AskAtOnce) {
        return wire.send(ASK_FOR_CLEAR_TEXT).await;
    }
    if state.misbehaves(&HostileBehavior::Oversized) {
        let header = [0xff, 0xff, 0xff, 0];
        wire.send_bytes(&header).await?;
        return wire.send_bytes(&vec![0; 0xff_ffff]).await;
    }
    let ssl = if state.refuses_tls() { 0 } else { capability::SSL };
    let offered = capability::OTHERS
        | capability::CONNECT_WITH_DB
        | capability::PLUGIN_AUTH
        | capability::DEPRECATE_EOF
        | ssl;
    // The database behind announces its capabilities; TLS and the login are this server's.
    let offered = match upstream {
        Some(upstream) => upstream.capabilities & !NOT_FORWARDED | capability::PLUGIN_AUTH | ssl,
        None => offered,
    };
    // Protocol::HandshakeV10, in the order of MySQL's documentation.
    let mut packet = vec![10];
    packet.extend(upstream.map_or(VERSION.as_bytes(), |upstream| &upstream.version));
    packet.push(0);
    packet.extend(upstream.map_or(thread, |upstream| upstream.thread).to_le_bytes());
    packet.extend(&nonce[..8]);
    packet.push(0);
    // The capabilities are sent in two halves, for clients from before the upper one.
    packet.extend(&offered.to_le_bytes()[..2]);
    // utf8mb4, and the status "autocommit".
    packet.push(upstream.map_or(45, |upstream| upstream.charset));
    packet.extend(upstream.map_or([2, 0], |upstream| upstream.status));
    packet.extend(&offered.to_le_bytes()[2..]);
    // Counts the NUL that ends the challenge.
    packet.push(nonce.len() as u8 + 1);
    packet.extend(upstream.map_or([0; 10], |upstream| upstream.reserved));
    packet.extend(&nonce[8..]);
    packet.push(0);
    packet.extend(state.plugin.name().as_bytes());
    packet.push(0);
    match state.misbehaves(&HostileBehavior::AskBehindGreeting) {
        true => wire.send_all(&[&packet[..], ASK_FOR_CLEAR_TEXT]).await,
        false => wire.send(&packet).await,
    }
}

async fn encrypt(mut wire: Wire, state: &State, attempt: &mut LoginAttempt) -> io::Result<Wire> {
    state.faults.pass(Phase::Tls).await?;
    if state.misbehaves(&HostileBehavior::AskInsteadOfTls) {
        wire.send(ASK_FOR_CLEAR_TEXT).await?;
        // The next packet is recorded as clear text without a check.
        loop {
            wire.read(state).await?;
        }
    }
    match wire.encrypt(state.tls_config()?).await {
        Ok((wire, server_name)) => {
            attempt.entry.tls = true;
            attempt.entry.server_name = server_name;
            Ok(wire)
        }
        Err(error) => {
            attempt.end(Outcome::TlsFailed, error.to_string());
            Err(error)
        }
    }
}
