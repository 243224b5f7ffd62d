//! Logs in at the server: the relay is a driver behind the ordinary chain of plugins.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wrapper_adapter::{Dialer, LoginAnswer, TlsFailure, explain_tls_failure};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{AbortRegistration, Driver, Phase, Rows, Transport},
};

use super::{
    finishing::Finishing,
    greeting::{COMPRESSION, Greeting},
    login::Login,
    packet::{COMPRESSED_QUIT, Packet, Pieces, QUIT, refusal, send},
    proof::Method,
    query::ask,
};
use crate::{
    allowance::Allowance,
    session_stream::SessionStream,
    upstream::{Destination, FAREWELL, Upstream, closed, dial, no_token_user, password, unreadable},
};

/// The most packets of an authentication exchange; no method needs as many.
const MAX_ANSWERS: usize = 8;

/// A connection whose server has sent its greeting and expects a login.
pub(crate) struct Opened {
    stream: TcpStream,
    allowance: Allowance,
    pub(crate) to: Destination,
    pub(crate) greeting: Greeting,
}

impl Opened {
    /// Connects, and reads the greeting.
    pub(crate) async fn connect(
        address: SocketAddr,
        request: &ConnectRequest,
        upstream: &Upstream,
    ) -> Result<Self> {
        let to = Destination::new(address, request);
        let progress = request.progress();
        let mut stream = dial(&to, progress).await?;
        progress.enter(Phase::Open);
        let mut allowance = Allowance::of_server();
        let packet = Packet::read(&mut stream, &mut allowance).await;
        let packet = packet.map_err(|error| closed(&to.label, progress, error))?;
        if let Some((code, text)) = refusal(&packet.payload) {
            return Err(refused(code, &text, true, request));
        }
        let greeting = Greeting::parse(packet.payload).ok_or_else(|| {
            let message = format!("{} is not a MySQL server: check host and port", to.label);
            Error::new(ErrorKind::Configuration, message)
        })?;
        let greeting = if upstream.asks_sessions { greeting.without_compression() } else { greeting };
        Ok(Self { stream, allowance, to, greeting })
    }

    /// Ends the connection by a login that the server refuses; see [`Login::farewell`].
    pub(crate) async fn dismiss(mut self) {
        let farewell = Login::farewell(self.greeting.capabilities);
        end_login(&mut self.stream, &mut self.allowance, 1, &farewell).await;
    }

    /// Logs in over verified TLS.
    async fn log_in(
        self,
        upstream: &Upstream,
        login: &Login,
        asked: u32,
        request: &ConnectRequest,
    ) -> Result<Session> {
        let Self { mut stream, mut allowance, to, greeting } = self;
        // A plugin may have set another server name since the greeting.
        let to = Destination::new(to.address, request);
        let progress = request.progress();
        let io = |error| closed(&to.label, progress, error);
        if !greeting.offers_tls() {
            let error = explain_tls_failure(TlsFailure::NotOffered, &to.tls_name, &upstream.tls.roots());
            Self { stream, allowance, to, greeting }.dismiss().await;
            return Err(error);
        }
        if asked & !greeting.offered() != 0 {
            let message = format!("{} lacks a capability that was offered to the client", to.label);
            Self { stream, allowance, to, greeting }.dismiss().await;
            return Err(Error::new(ErrorKind::Connect, message));
        }
        let (head, whole) = login.for_user(request.user(), request.database(), greeting.offered());
        let [a, b, c, d] = [head[0], head[1], head[2], head[3]];
        let capabilities = u32::from_le_bytes([a, b, c, d]);
        progress.enter(Phase::Tls);
        send(&mut stream, 1, &head).await.map_err(io)?;
        let mut stream = upstream.tls.handshake(&to.tls_name, stream).await?;
        progress.enter(Phase::Login);
        send(&mut stream, 2, &whole).await.map_err(io)?;
        for _ in 0..MAX_ANSWERS {
            let packet = Packet::read(&mut stream, &mut allowance).await.map_err(io)?;
            if let Some((code, text)) = refusal(&packet.payload) {
                return Err(refused(code, &text, false, request));
            }
            let answer = match &packet.payload[..] {
                [0, ..] => {
                    let stream = SessionStream::new(stream, goodbye(capabilities), &upstream.goodbyes);
                    let abort = request.abort_registration().clone();
                    return Ok(Session { stream, ok: packet.payload, capabilities, abort });
                }
                [0xfe, asked @ ..] => {
                    let mut pieces = Pieces(asked);
                    let method = pieces.text();
                    let nonce = pieces.0.strip_suffix(b"\0").unwrap_or(pieces.0);
                    answer(method, nonce, upstream, request)
                }
                // caching_sha2_password: the server has no hash cached and needs the password.
                [1, 4] if !upstream.sends_token => in_clear(request),
                [1, 3] if !upstream.sends_token => continue,
                _ if upstream.sends_token => Err(no_token_user(request)),
                _ => return Err(unreadable(request)),
            };
            let next = packet.number.wrapping_add(1);
            match answer {
                Ok(answer) => send(&mut stream, next, &answer).await.map_err(io)?,
                Err(error) => {
                    end_login(&mut stream, &mut allowance, next, &[]).await;
                    return Err(error);
                }
            }
        }
        Err(unreadable(request))
    }
}

/// Sends a packet that carries no password, and reads on until the server refuses the login: it
/// counts a login that breaks off.
async fn end_login(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    allowance: &mut Allowance,
    number: u8,
    packet: &[u8],
) {
    let ended = async {
        send(stream, number, packet).await?;
        for _ in 0..MAX_ANSWERS {
            let packet = Packet::read(stream, allowance).await?;
            match packet.payload[..] {
                // A user without a password is logged in.
                [0, ..] => return stream.write_all(&QUIT).await,
                [0xff, ..] => break,
                // Servers ask unknown users for a proof as well; an empty one is refused.
                _ => send(stream, packet.number.wrapping_add(1), &[]).await?,
            }
        }
        std::io::Result::Ok(())
    };
    // Errors are ignored: nobody waits for this login.
    drop(timeout(FAREWELL, ended).await);
}

/// Returns the bytes that end a session which uses these capabilities.
fn goodbye(capabilities: u32) -> &'static [u8] {
    match capabilities & COMPRESSION {
        0 => &QUIT,
        _ => &COMPRESSED_QUIT,
    }
}

/// Answers an AuthSwitchRequest.
fn answer(method: &[u8], nonce: &[u8], upstream: &Upstream, request: &ConnectRequest) -> Result<Vec<u8>> {
    if method == b"mysql_clear_password" {
        return in_clear(request);
    }
    // A token cannot be verified by a proof: the server knows no secret of it.
    if upstream.sends_token {
        return Err(no_token_user(request));
    }
    let method = Method::named(method).ok_or_else(|| {
        let message = format!("{} asks for an unsupported authentication method", request.address_label());
        Error::new(ErrorKind::Configuration, message)
    })?;
    let password = password(request)?.expose_for(Transport::VerifiedTls)?;
    Ok(method.prove(password.as_bytes(), nonce))
}

fn in_clear(request: &ConnectRequest) -> Result<Vec<u8>> {
    let password = password(request)?.expose_for(Transport::VerifiedTls)?;
    Ok([password.as_bytes(), &[0]].concat())
}

fn refused(code: u16, text: &str, is_before_login: bool, request: &ConnectRequest) -> Error {
    let said = ServerError::new(code, text, request.secrets());
    let code = code.to_string();
    let answer = LoginAnswer::new(Engine::Mysql, &code, text);
    let answer = if is_before_login { answer.before_login() } else { answer };
    answer.refused(said, request)
}

/// Opens sessions with one client's login packet.
pub struct RelayDriver {
    upstream: Arc<Upstream>,
    login: Arc<Login>,
    /// The offered capabilities that the client requested. After a failover or a retry another
    /// server must have them as well, since the client keeps using them.
    asked: u32,
    /// The connection whose greeting the client has read, used by the first attempt.
    opened: Arc<Waiting>,
    dialer: Dialer,
}

/// The connection that waits for the client's login.
pub(crate) type Waiting = Mutex<Option<Opened>>;

/// Takes the waiting connection.
pub(crate) fn take(waiting: &Waiting) -> Option<Opened> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes the waiting connection if it is to this address; another stays, to be used or dismissed.
fn take_of(waiting: &Waiting, address: SocketAddr) -> Option<Opened> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.take_if(|opened| opened.to.address == address)
}

impl RelayDriver {
    pub(crate) fn new(upstream: Arc<Upstream>, login: Login, opened: &Arc<Waiting>, dialer: Dialer) -> Self {
        let waiting = opened.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = waiting.as_ref().map_or(0, |opened| opened.greeting.offered());
        drop(waiting);
        let asked = login.capabilities & offered;
        Self { upstream, asked, login: Arc::new(login), opened: Arc::clone(opened), dialer }
    }

    /// Creates the driver for sessions of the proxy itself.
    pub(crate) fn own(upstream: Arc<Upstream>) -> Self {
        let dialer = upstream.dialer.clone();
        Self { upstream, login: Arc::new(Login::own()), asked: 0, opened: Arc::default(), dialer }
    }

    fn open(&self, address: SocketAddr, request: &ConnectRequest) -> Finishing {
        let (upstream, login) = (Arc::clone(&self.upstream), Arc::clone(&self.login));
        let (opened, asked, request) = (take_of(&self.opened, address), self.asked, request.clone());
        let progress = request.progress().clone();
        let opening = async move {
            let opened = match opened {
                Some(opened) => opened,
                None => Opened::connect(address, &request, &upstream).await?,
            };
            opened.log_in(&upstream, &login, asked, &request).await
        };
        Finishing::new(opening, &progress, &self.upstream)
    }
}

impl Driver for RelayDriver {
    type Connection = Session;

    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Session>> {
        Box::pin(async move {
            let open = |address| -> BoxFuture<'_, Result<Session>> { Box::pin(self.open(address, &request)) };
            self.dialer.dial(&request, open).await
        })
    }

    fn query<'a>(&'a self, session: &'a mut Session, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async move {
            if session.capabilities & COMPRESSION != 0 {
                let message = "a plugin cannot query a compressed MySQL session";
                return Err(Error::new(ErrorKind::Configuration, message));
            }
            ask(&mut *session.stream, session.capabilities, sql).await
        })
    }

    fn close(&self, session: Session) -> BoxFuture<'_, ()> {
        Box::pin(session.stream.end())
    }
}

/// A session that is logged in, with the server's OK packet.
pub struct Session {
    pub(crate) stream: SessionStream,
    pub(crate) ok: Vec<u8>,
    /// The capabilities that server and client use.
    capabilities: u32,
    pub(crate) abort: AbortRegistration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use wrapper_adapter::{Roots, SystemResolver};

    use super::{
        super::{greeting::tests::greeting, packet::capability},
        *,
    };
    use crate::tls::Tls;

    #[test]
    fn compressed_session_ends_with_a_compressed_frame() {
        let both = capability::COMPRESS | capability::ZSTD;
        for compression in [capability::COMPRESS, capability::ZSTD, both] {
            let sent = goodbye(compression | capability::PROTOCOL_41);
            let (frame, packet) = sent.split_at(7);
            assert_eq!((frame, packet), (&[5, 0, 0, 0, 0, 0, 0][..], &QUIT[..]), "{compression}");
        }
        assert_eq!(goodbye(capability::PROTOCOL_41), QUIT);
    }

    #[tokio::test]
    async fn greeted_connection_is_kept_while_another_address_is_tried_first() {
        let here = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = here.local_addr().expect("has one");
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let elsewhere = gone.local_addr().expect("has one");
        drop(gone);
        let request = ConnectRequest::new("127.0.0.1", address.port(), "jane");
        let stream = TcpStream::connect(address).await.expect("listens");
        let greeting = Greeting::parse(greeting(u32::MAX, "mysql_native_password")).expect("is read");
        let to = Destination::new(address, &request);
        let opened = Opened { stream, allowance: Allowance::of_server(), to, greeting };
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(opened)));
        let tls = Tls::new(Roots::system()).expect("are read");
        let dialer = Dialer::new(Arc::new(SystemResolver), false);
        let upstream = Arc::new(Upstream {
            tls,
            dialer,
            sends_token: true,
            asks_sessions: false,
            goodbyes: Default::default(),
            finishing: Default::default(),
            resolver: Arc::new(SystemResolver),
        });
        let driver = RelayDriver::new(Arc::clone(&upstream), Login::own(), &waiting, upstream.dialer.clone());

        driver.open(elsewhere, &request).await.expect_err("nothing listens");

        assert!(take(&waiting).is_some());
    }
}
