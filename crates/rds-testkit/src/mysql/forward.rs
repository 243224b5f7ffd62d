//! A session at a real MySQL or MariaDB server, behind a login that was checked here.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::AuthPlugin;
use super::login::Login;
use super::packet::capability;
use super::scramble;
use super::wire::Reader;
use crate::forward::Target;

/// A packet limit above anything a server sends before a session is ready.
const LONGEST: usize = 1 << 20;

/// Capabilities that this server does not offer on the database's behalf: length-encoded login data
/// and several factors.
pub(super) const NOT_FORWARDED: u32 = capability::SSL | 1 << 21 | 1 << 28 | 1 << 30;

/// A connection to the database that waits for the login.
pub(super) struct Upstream {
    stream: TcpStream,
    next: u8,
    pub(super) greeting: Greeting,
}

/// The greeting of a server.
pub(super) struct Greeting {
    pub(super) version: Vec<u8>,
    pub(super) thread: u32,
    pub(super) capabilities: u32,
    pub(super) charset: u8,
    pub(super) status: [u8; 2],
    /// Includes MariaDB's extended capabilities.
    pub(super) reserved: [u8; 10],
    nonce: Vec<u8>,
    plugin: String,
}

impl Upstream {
    /// Connects. An error packet instead of a greeting is a separate outcome.
    pub(super) async fn open(target: &Target) -> io::Result<Result<Self, Vec<u8>>> {
        let mut stream = TcpStream::connect(target.addr).await?;
        stream.set_nodelay(true)?;
        let (packet, next) = read(&mut stream).await?;
        if packet.first() == Some(&0xff) {
            return Ok(Err(packet));
        }
        Ok(Ok(Self { stream, next, greeting: Greeting::parse(&packet)? }))
    }

    /// Logs in with the client's parameters except for user and proof; returns the stream and the
    /// server's last packet.
    pub(super) async fn log_in(mut self, target: &Target, login: &Login) -> io::Result<(TcpStream, Vec<u8>)> {
        let mut plugin = AuthPlugin::named(&self.greeting.plugin).unwrap_or(AuthPlugin::Native);
        let proof = scramble::prove(plugin, &target.password, &self.greeting.nonce);
        let packet = self.greeting.login(target, login, plugin, &proof);
        self.send(&packet).await?;
        loop {
            let (packet, next) = read(&mut self.stream).await?;
            self.next = next;
            match packet[..] {
                [0xfe, ref request @ ..] => {
                    // AuthSwitchRequest: the account uses another plugin than the server's default.
                    let (name, nonce) = split_at_nul(request);
                    let name = String::from_utf8_lossy(name).into_owned();
                    plugin = AuthPlugin::named(&name)
                        .ok_or_else(|| unsupported(format!("the database asks for a proof by {name:?}")))?;
                    let nonce = nonce.strip_suffix(b"\0").unwrap_or(nonce);
                    self.send(&scramble::prove(plugin, &target.password, nonce)).await?;
                }
                // caching_sha2_password: the proof was enough, an OK follows.
                [0x01, 0x03] => {}
                [0x01, ..] => {
                    return Err(unsupported(
                        "the database wants the password over TLS: caching_sha2_password has not cached it"
                            .to_owned(),
                    ));
                }
                _ => return Ok((self.stream, packet)),
            }
        }
    }

    async fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        // A login is far shorter than 2^24 bytes.
        let [a, b, c, _] = (packet.len() as u32).to_le_bytes();
        self.stream.write_all(&[&[a, b, c, self.next][..], packet].concat()).await
    }
}

impl Greeting {
    fn parse(packet: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(packet);
        if reader.bytes(1)? != [10] {
            return Err(unsupported("the database speaks another protocol than MySQL's tenth".to_owned()));
        }
        let version = reader.text()?.into_bytes();
        let thread = reader.number()?;
        let mut nonce = reader.bytes(8)?.to_vec();
        reader.bytes(1)?;
        let low = reader.bytes(2)?;
        let charset = reader.bytes(1)?[0];
        let status = [reader.bytes(1)?[0], reader.bytes(1)?[0]];
        let high = reader.bytes(2)?;
        let capabilities = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
        let length = usize::from(reader.bytes(1)?[0]);
        let mut reserved = [0; 10];
        reserved.copy_from_slice(reader.bytes(10)?);
        // 8 bytes came before; at least 13 follow, the last of which is a NUL.
        nonce.extend(reader.bytes(length.saturating_sub(8).max(13))?);
        nonce.truncate(20);
        let plugin = reader.text()?;
        Ok(Self { version, thread, capabilities, charset, status, reserved, nonce, plugin })
    }

    fn login(&self, target: &Target, login: &Login, plugin: AuthPlugin, proof: &[u8]) -> Vec<u8> {
        let flags = login.capabilities & self.capabilities & !NOT_FORWARDED;
        // 0x8000 is CLIENT_SECURE_CONNECTION: the length of the proof takes one byte.
        let mut packet = Vec::from((flags | capability::PLUGIN_AUTH | 0x8000).to_le_bytes());
        packet.extend(&login.head);
        packet.extend([target.user.as_bytes(), b"\0"].concat());
        // Proofs have 0, 20 or 32 bytes.
        packet.push(proof.len() as u8);
        packet.extend(proof);
        if flags & capability::CONNECT_WITH_DB != 0 {
            packet.extend([login.database.as_bytes(), b"\0"].concat());
        }
        packet.extend([plugin.name().as_bytes(), b"\0"].concat());
        packet.extend(&login.rest);
        packet
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<(Vec<u8>, u8)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let [a, b, c, number] = header;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await?;
    Ok((packet, number.wrapping_add(1)))
}

fn split_at_nul(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn unsupported(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, message)
}
