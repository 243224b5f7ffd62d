//! One connection from the greeting to the close.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::login::ASK_FOR_CLEAR_TEXT;
use super::session::Session;
use super::wire::{Reader, Wire};
use super::{State, Trick, login, session};
use crate::fault::Phase;
use crate::random;
use crate::record::{Outcome, Visit};

pub(super) const VERSION: &str = "8.0.39";

/// Bits of the capabilities that both sides exchange, by their names in MySQL's protocol.
pub(super) mod capability {
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    /// LONG_PASSWORD, LONG_FLAG, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS,
    /// PS_MULTI_RESULTS, CONNECT_ATTRS, PLUGIN_AUTH_LENENC_CLIENT_DATA.
    pub(crate) const OTHERS: u32 =
        0x1 | 0x4 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x10_0000 | 0x20_0000;
}

/// A request for TLS is the first 32 bytes of a login.
const TLS_REQUEST: usize = 32;

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    let state = &*state;
    stream.set_nodelay(true)?;
    let mut visit = Visit::new(state.record.clone(), state.authority.clone());
    state.faults.swallow().await;
    state.faults.pass(Phase::Accept).await?;
    let mut wire = Wire::new(stream);
    // A NUL would end it early.
    let nonce = random::bytes::<20>()?.map(|byte| byte & 0x7f | 0x40);
    let cancellable = state.journal.open(0);
    greet(&mut wire, state, &nonce, cancellable.session).await?;
    let mut packet = wire.read(state).await?;
    if packet.len() == TLS_REQUEST && Reader(&packet).number()? & capability::SSL != 0 {
        wire = encrypt(wire, state, &mut visit).await?;
        packet = wire.read(state).await?;
    }
    if let Some(login) = login::login(&mut wire, state, &mut visit, &packet, &nonce).await? {
        session::serve(&mut wire, state, Session::new(login, cancellable)).await?;
    }
    wire.close().await
}

async fn greet(wire: &mut Wire, state: &State, nonce: &[u8; 20], thread: u32) -> io::Result<()> {
    if state.plays(&Trick::AskAtOnce) {
        return wire.send(ASK_FOR_CLEAR_TEXT).await;
    }
    if state.plays(&Trick::Oversized) {
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
    let mut packet = vec![10];
    packet.extend(VERSION.as_bytes());
    packet.push(0);
    packet.extend(thread.to_le_bytes());
    packet.extend(&nonce[..8]);
    packet.push(0);
    packet.extend(&offered.to_le_bytes()[..2]);
    // utf8mb4, and the status "autocommit".
    packet.extend([45, 2, 0]);
    packet.extend(&offered.to_le_bytes()[2..]);
    packet.push(nonce.len() as u8 + 1);
    packet.extend([0; 10]);
    packet.extend(&nonce[8..]);
    packet.push(0);
    packet.extend(state.plugin.name().as_bytes());
    packet.push(0);
    match state.plays(&Trick::AskBehindGreeting) {
        true => wire.send_all(&[&packet[..], ASK_FOR_CLEAR_TEXT]).await,
        false => wire.send(&packet).await,
    }
}

async fn encrypt(mut wire: Wire, state: &State, visit: &mut Visit) -> io::Result<Wire> {
    state.faults.pass(Phase::Tls).await?;
    if state.plays(&Trick::AskInsteadOfTls) {
        wire.send(ASK_FOR_CLEAR_TEXT).await?;
        // What comes now is kept as clear text, whatever it is.
        loop {
            wire.read(state).await?;
        }
    }
    match wire.encrypt(state.tls_config()?).await {
        Ok((wire, server_name)) => {
            visit.attempt.tls = true;
            visit.attempt.server_name = server_name;
            Ok(wire)
        }
        Err(error) => {
            visit.end(Outcome::TlsFailed, error.to_string());
            Err(error)
        }
    }
}
