//! Logs in at the server: the relay is a driver behind the ordinary chain of plugins.

use std::{fmt, net::SocketAddr, ops::Range, sync::Arc};

use postgres_protocol::authentication::{
    md5_hash,
    sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use wrapper_adapter::{LoginAnswer, TlsFailure, explain_tls_failure, other_service};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{AbortRegistration, Driver, Phase, Progress, Rows, Transport},
};

use super::{
    message::Message,
    query::ask,
    startup::{Startup, ssl_request},
};
use crate::{
    allowance::Allowance,
    session_stream::SessionStream,
    upstream::{Destination, Upstream, closed, dial, no_token_user, password, unreadable},
};

/// The message that ends a session, Terminate.
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// Opens sessions with one client's startup packet.
pub struct RelayDriver {
    upstream: Arc<Upstream>,
    startup: Startup,
}

/// An authenticated session, with the server's messages that are still to be sent to its client.
pub struct Session {
    pub(crate) stream: SessionStream,
    pub(crate) to: Destination,
    greeting: Greeting,
    abort: AbortRegistration,
}

/// The server's messages from the password to the first `ReadyForQuery`.
struct Greeting {
    /// Every message after the password except the last.
    messages: Vec<u8>,
    /// `ReadyForQuery`, replaced by that of each plugin's query.
    ready: Message,
    /// The position of the cancel key in `messages`, if the server sent one.
    key: Option<Range<usize>>,
    parameters: Vec<(String, String)>,
}

impl RelayDriver {
    pub(crate) fn new(upstream: Arc<Upstream>, startup: Startup) -> Self {
        Self { upstream, startup }
    }

    async fn open(&self, address: SocketAddr, request: &ConnectRequest) -> Result<Session> {
        let to = Destination::new(address, request);
        let mut stream = match self.upstream.encrypted(&to, request.progress()).await {
            Ok(stream) => stream,
            // A peer that offers no TLS may be a server of another engine.
            Err(error) if error.kind() == ErrorKind::Tls => {
                return Err(other_service(Engine::Postgres, request).await.unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        request.progress().enter(Phase::Login);
        let packet = self.startup.for_user(request.user(), request.database());
        let io = |error| closed(&to.label, request.progress(), error);
        stream.write_all(&packet).await.map_err(io)?;
        stream.flush().await.map_err(io)?;
        let greeting = self.log_in(&mut stream, &to.label, request).await?;
        let stream = SessionStream::new(stream, TERMINATE, &self.upstream.goodbyes);
        Ok(Session { stream, to, greeting, abort: request.abort_registration().clone() })
    }

    async fn log_in(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        label: &str,
        request: &ConnectRequest,
    ) -> Result<Greeting> {
        let io = |error| closed(label, request.progress(), error);
        let (mut messages, mut parameters, mut key) = (Vec::new(), Vec::new(), None);
        let (mut allowance, mut scram) = (Allowance::of_server(), None);
        loop {
            let message = Message::read(stream, &mut allowance).await.map_err(io)?;
            match message.tag() {
                b'Z' => return Ok(Greeting { messages, ready: message, key, parameters }),
                b'E' => return Err(refused(&message, request)),
                b'R' if !matches!(message.authentication(), Some((0, _))) => {
                    let answer = self.answer(&message, &mut scram, request)?;
                    if let Some(answer) = answer {
                        stream.write_all(answer.as_bytes()).await.map_err(io)?;
                        stream.flush().await.map_err(io)?;
                    }
                    continue;
                }
                b'S' => parameters.extend(message.parameter()),
                b'K' => {
                    let start = messages.len() + Message::HEADER;
                    key = Some(start..start + message.body().len()).filter(|key| !key.is_empty());
                }
                // AuthenticationOk, a notice, or a lower minor version: the client needs all of
                // them.
                b'R' | b'N' | b'v' => {}
                _ => return Err(unreadable(request)),
            }
            messages.extend_from_slice(message.as_bytes());
        }
    }

    /// Answers one authentication request; `None` where the server expects no answer.
    fn answer(
        &self,
        message: &Message,
        scram: &mut Option<ScramSha256>,
        request: &ConnectRequest,
    ) -> Result<Option<Message>> {
        let (method, data) = message.authentication().ok_or_else(|| unreadable(request))?;
        let password = password(request)?.expose_for(Transport::VerifiedTls)?;
        if self.upstream.sends_token && method != 3 {
            return Err(no_token_user(request));
        }
        let terminated = |text: &[u8]| Message::new(b'p', &[text, &[0]].concat());
        let bad = |_| unreadable(request);
        match method {
            3 => Ok(Some(terminated(password.as_bytes()))),
            5 => {
                let salt = data.try_into().map_err(|_| unreadable(request))?;
                let hash = md5_hash(request.user().as_bytes(), password.as_bytes(), salt);
                Ok(Some(terminated(hash.as_bytes())))
            }
            10 if data.split(|byte| *byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) => {
                let client =
                    scram.insert(ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported()));
                let first = client.message();
                let length = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
                let body = [SCRAM_SHA_256.as_bytes(), &[0], &length, first].concat();
                Ok(Some(Message::new(b'p', &body)))
            }
            11 => {
                let client = scram.as_mut().ok_or_else(|| unreadable(request))?;
                client.update(data).map_err(bad)?;
                Ok(Some(Message::new(b'p', client.message())))
            }
            12 => {
                let client = scram.as_mut().ok_or_else(|| unreadable(request))?;
                // The server's signature proves that it knows the password.
                client.finish(data).map_err(bad)?;
                Ok(None)
            }
            _ => {
                let message =
                    format!("{} asks for an unsupported authentication method", request.address_label());
                Err(Error::new(ErrorKind::Configuration, message))
            }
        }
    }
}

impl Upstream {
    /// Opens a verified TLS connection to one address.
    pub(crate) async fn encrypted(
        &self,
        to: &Destination,
        progress: &Progress,
    ) -> Result<TlsStream<TcpStream>> {
        let mut stream = dial(to, progress).await?;
        progress.enter(Phase::Open);
        stream.write_all(&ssl_request()).await.map_err(|error| closed(&to.label, progress, error))?;
        // Exactly one byte is read: further bytes would be unencrypted, and a man in the middle
        // could have injected them (CVE-2021-23222).
        let answer = stream.read_u8().await.map_err(|error| closed(&to.label, progress, error))?;
        if answer != b'S' {
            return Err(explain_tls_failure(TlsFailure::NotOffered, &to.tls_name, &self.tls.roots()));
        }
        progress.enter(Phase::Tls);
        self.tls.handshake(&to.tls_name, stream).await
    }
}

impl Driver for RelayDriver {
    type Connection = Session;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Session>> {
        Box::pin(async move {
            let open = |address| -> BoxFuture<'_, Result<Session>> { Box::pin(self.open(address, &request)) };
            self.upstream.dialer.dial(&request, open).await
        })
    }

    fn query<'a>(&'a self, session: &'a mut Session, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(session.query(sql))
    }

    fn parameter(&self, session: &Session, name: &str) -> Option<String> {
        session.parameter(name).map(str::to_owned)
    }

    fn close(&self, session: Session) -> BoxFuture<'_, ()> {
        Box::pin(session.stream.end())
    }
}

impl Session {
    /// Takes the messages that the client has to read first.
    pub(crate) fn take_greeting(&mut self) -> Vec<u8> {
        let mut messages = std::mem::take(&mut self.greeting.messages);
        messages.extend_from_slice(self.greeting.ready.as_bytes());
        messages
    }

    /// Returns the cancel key, which may be changed until the client has read it.
    pub(crate) fn key(&mut self) -> Option<&mut [u8]> {
        let key = self.greeting.key.clone()?;
        self.greeting.messages.get_mut(key)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.greeting.parameters.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn abort(&self) -> &AbortRegistration {
        &self.abort
    }

    /// Runs a plugin's query, before the client has the session.
    async fn query(&mut self, sql: &str) -> Result<Rows> {
        let answer = ask(&mut *self.stream, sql).await?;
        self.greeting.ready = answer.ready;
        for status in answer.changed {
            self.greeting.note(&status)?;
        }
        answer.rows
    }
}

impl Greeting {
    /// Adds a setting that a plugin's query changed, which the client has to learn.
    fn note(&mut self, status: &Message) -> Result<()> {
        // A monitor's session is queried for days, so the messages need a limit.
        if self.messages.len() + status.as_bytes().len() > Allowance::SERVER {
            return Err(Error::new(ErrorKind::Driver, "too many changed settings in the answers to plugins"));
        }
        self.messages.extend_from_slice(status.as_bytes());
        self.parameters.extend(status.parameter());
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

fn refused(message: &Message, request: &ConnectRequest) -> Error {
    let fields = message.fields();
    let (code, text) = (fields.get(b'C').unwrap_or_default(), fields.get(b'M').unwrap_or_default());
    let hint = fields.get(b'H');
    let shown = match hint {
        Some(hint) => format!("{text} ({hint})"),
        None => text.to_owned(),
    };
    let said = ServerError::new(code, &shown, request.secrets());
    let answer =
        LoginAnswer::new(Engine::Postgres, code, text).with_hint(hint).with_routine(fields.get(b'R'));
    answer.refused(said, request)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use wrapper_adapter::{Dialer, Roots, SystemResolver};

    use super::{super::query::tests::endless, *};
    use crate::tls::Tls;

    fn driver(sends_token: bool) -> RelayDriver {
        let tls = Tls::new(Roots::system()).expect("are read");
        let dialer = Dialer::new(Arc::new(SystemResolver), false);
        RelayDriver::new(
            Arc::new(Upstream {
                tls,
                dialer,
                sends_token,
                asks_sessions: false,
                goodbyes: Default::default(),
                finishing: Default::default(),
                resolver: Arc::new(SystemResolver),
            }),
            Startup::new("test"),
        )
    }

    #[tokio::test]
    async fn server_that_never_ends_its_login_is_disconnected() {
        let request =
            ConnectRequest::new("127.0.0.1", 1, "jane").with_password(wrapper_core::Password::new("p"));
        for message in [
            Message::new(b'R', &[0, 0, 0, 3]),
            Message::new(b'R', &[0, 0, 0, 12]),
            Message::new(b'S', &[b"a\0".as_slice(), &[b'x'; 30_000], b"\0"].concat()),
        ] {
            let (mut near, far) = duplex(1 << 16);
            let (mut asked, said) = tokio::io::split(far);
            let server = tokio::spawn(endless(said, message));
            let reader =
                tokio::spawn(async move { tokio::io::copy(&mut asked, &mut tokio::io::sink()).await });

            let left = driver(false).log_in(&mut near, "here", &request).await;

            drop(near);
            left.map(drop).expect_err("is left");
            assert!(server.await.expect("ends") < 2 * Allowance::SERVER);
            reader.await.expect("ends").expect("is read");
        }
    }

    #[test]
    fn greeting_is_bounded_on_a_monitors_session() {
        let mut greeting = Greeting {
            messages: Vec::new(),
            ready: Message::new(b'Z', b"I"),
            key: None,
            parameters: Vec::new(),
        };
        let status = Message::new(b'S', &[b"a\0".as_slice(), &[b'x'; 1_000], b"\0"].concat());

        let noted = (0..100_000).try_for_each(|_| greeting.note(&status));

        noted.expect_err("is too much");
        assert!(greeting.messages.len() < 2 * Allowance::SERVER);
        assert!(greeting.parameters.len() < 2_000);
    }
}
