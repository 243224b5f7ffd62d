//! A session at a real PostgreSQL server, behind a login that was checked here.

use std::collections::BTreeMap;
use std::io;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::forward::Target;

/// A message limit above anything a server sends before a session is ready.
const LONGEST: usize = 1 << 20;

/// A ready session, with the server's messages after the login.
pub(super) struct Upstream {
    pub(super) stream: TcpStream,
    /// Messages up to and including ReadyForQuery.
    pub(super) greeting: Vec<u8>,
    /// The process id and key to cancel the session.
    pub(super) key: Option<(u32, i32)>,
}

/// A message with its type and its body.
struct Message {
    kind: u8,
    body: Vec<u8>,
}

/// Logs in at the target with the client's parameters except the user. An error message of the
/// server is a separate outcome.
pub(super) async fn open(
    target: &Target,
    parameters: &BTreeMap<String, String>,
    database: &str,
) -> io::Result<Result<Upstream, Vec<u8>>> {
    let mut stream = TcpStream::connect(target.addr).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&startup(target, parameters, database)).await?;
    let mut scram = None;
    let (mut greeting, mut key, mut accepted) = (Vec::new(), None, false);
    loop {
        let message = read(&mut stream).await?;
        match message.kind {
            b'E' => return Ok(Err(message.bytes())),
            b'R' => {
                // AuthenticationOk and the requests before it stay here: the client has its own
                // already.
                accepted = authenticate(&mut stream, target, &message.body, &mut scram).await?;
                continue;
            }
            b'K' if message.body.len() == 8 => {
                let [a, b, c, d, e, f, g, h] = message.body[..] else { return Err(malformed("key data")) };
                key = Some((u32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h])));
            }
            _ => {}
        }
        let is_ready = message.kind == b'Z';
        greeting.extend(message.bytes());
        if greeting.len() > LONGEST {
            return Err(malformed("too much before the session is ready"));
        }
        if is_ready && accepted {
            return Ok(Ok(Upstream { stream, greeting, key }));
        }
    }
}

/// Forwards a cancel request and waits until the server has processed it, which it shows by closing
/// the stream.
pub(super) async fn cancel(target: &Target, session: u32, key: i32) -> io::Result<()> {
    let mut stream = TcpStream::connect(target.addr).await?;
    let mut packet = Vec::from(16_u32.to_be_bytes());
    // The code of a CancelRequest: 1234 in the upper half, 5678 in the lower.
    packet.extend(80_877_102_u32.to_be_bytes());
    packet.extend(session.to_be_bytes());
    packet.extend(key.to_be_bytes());
    stream.write_all(&packet).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Answers the server's request for a proof; returns whether the login is complete.
async fn authenticate(
    stream: &mut TcpStream,
    target: &Target,
    body: &[u8],
    scram: &mut Option<ScramSha256>,
) -> io::Result<bool> {
    let [a, b, c, d, data @ ..] = body else { return Err(malformed("request for a proof")) };
    let password = target.password.as_bytes();
    // Ok, CleartextPassword, MD5Password, SASL, SASLContinue, SASLFinal.
    let answer = match u32::from_be_bytes([*a, *b, *c, *d]) {
        0 => return Ok(true),
        3 => [password, b"\0"].concat(),
        5 => {
            let salt = <[u8; 4]>::try_from(data).map_err(|_| malformed("salt"))?;
            [md5_hash(target.user.as_bytes(), password, salt).as_bytes(), b"\0"].concat()
        }
        10 => {
            let started = scram.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
            let first = started.message();
            // A first message holds a nonce and little more.
            let length = (first.len() as u32).to_be_bytes();
            [SCRAM_SHA_256.as_bytes(), b"\0", &length, first].concat()
        }
        11 => {
            let running = scram.as_mut().ok_or_else(|| malformed("SCRAM message"))?;
            running.update(data)?;
            running.message().to_vec()
        }
        12 => {
            scram.as_mut().ok_or_else(|| malformed("SCRAM message"))?.finish(data)?;
            return Ok(false);
        }
        other => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the database asks for a proof of kind {other}"),
            ));
        }
    };
    stream.write_all(&Message { kind: b'p', body: answer }.bytes()).await?;
    Ok(false)
}

fn startup(target: &Target, parameters: &BTreeMap<String, String>, database: &str) -> Vec<u8> {
    // Protocol 3.0, without a message type: the startup message has none.
    let mut body = Vec::from(0x0003_0000_u32.to_be_bytes());
    let own = [("user", &*target.user), ("database", database)];
    // Protocol options were refused to the client.
    let is_kept =
        |name: &&String| !matches!(name.as_str(), "user" | "database") && !name.starts_with("_pq_.");
    let kept = parameters.keys().filter(is_kept).map(|name| (name.as_str(), parameters[name].as_str()));
    for (name, value) in own.into_iter().chain(kept) {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    // PostgreSQL accepts at most 10,000 bytes.
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

async fn read(stream: &mut TcpStream) -> io::Result<Message> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await? as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(malformed("message length"));
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok(Message { kind, body })
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        // A message is 1 MiB at most.
        [&[self.kind][..], &(self.body.len() as u32 + 4).to_be_bytes(), &self.body].concat()
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed answer of the database: {what}"))
}
