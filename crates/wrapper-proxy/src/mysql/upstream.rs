//! The session at the server: the wire relay as a driver behind the ordinary chain.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use wrapper_adapter::{LoginAnswer, TlsFailure, explain_tls_failure};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, ErrorKind, Result, ServerError,
    adapter::{AbortRegistration, Driver, Phase, Rows, Transport},
};

use super::{
    greeting::{COMPRESSION, Greeting},
    login::Login,
    packet::{Packet, Pieces, refusal, send},
    proof::Method,
    query::ask,
};
use crate::{
    allowance::Allowance,
    upstream::{Destination, Upstream, closed, dial, no_token_user, password, unreadable},
};

/// How long the end of a connection without a login may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// More answers than any method has.
const MAX_ANSWERS: usize = 8;

/// A connection whose server has greeted, and waits for a login.
pub(crate) struct Opened {
    stream: TcpStream,
    allowance: Allowance,
    to: Destination,
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
            let message = format!("{} is no MySQL server: check host and port", to.label);
            Error::new(ErrorKind::Configuration, message)
        })?;
        let greeting = if upstream.asks_sessions { greeting.without_compression() } else { greeting };
        Ok(Self { stream, allowance, to, greeting })
    }

    /// Ends the connection by a login that is refused: a server blocks machines whose clients break
    /// off before one (error 1129).
    pub(crate) async fn dismiss(mut self) {
        let farewell = Login::farewell(self.greeting.capabilities);
        let said = async {
            send(&mut self.stream, 1, &farewell).await?;
            for _ in 0..MAX_ANSWERS {
                let packet = Packet::read(&mut self.stream, &mut self.allowance).await?;
                if let [0 | 0xff, ..] = packet.payload[..] {
                    break;
                }
                // Servers ask users whom they do not know for a proof as well: there is none.
                send(&mut self.stream, packet.number.wrapping_add(1), &[]).await?;
            }
            std::io::Result::Ok(())
        };
        // Nobody is left to tell.
        drop(timeout(FAREWELL, said).await);
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
        // Plugins may have chosen another name since the greeting.
        let to = Destination::new(to.address, request);
        let progress = request.progress();
        let io = |error| closed(&to.label, progress, error);
        if !greeting.offers_tls() {
            let error = explain_tls_failure(TlsFailure::NotOffered, &to.tls_name, &upstream.tls.roots());
            Self { stream, allowance, to, greeting }.dismiss().await;
            return Err(error);
        }
        if asked & !greeting.offered() != 0 {
            let message = format!("{} cannot what the server could that greeted the client", to.label);
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
                    let abort = request.abort_registration().clone();
                    return Ok(Session { stream, ok: packet.payload, capabilities, abort });
                }
                [0xfe, asked @ ..] => {
                    let mut pieces = Pieces(asked);
                    let method = pieces.text();
                    let nonce = pieces.0.strip_suffix(b"\0").unwrap_or(pieces.0);
                    answer(method, nonce, upstream, request)?
                }
                // The server has not cached the password, and takes it over TLS.
                [1, 4] if !upstream.sends_token => in_clear(request)?,
                [1, 3] if !upstream.sends_token => continue,
                _ if upstream.sends_token => return Err(no_token_user(request)),
                _ => return Err(unreadable(request)),
            };
            send(&mut stream, packet.number.wrapping_add(1), &answer).await.map_err(io)?;
        }
        Err(unreadable(request))
    }
}

/// Answers the request to prove the password by a method.
fn answer(method: &[u8], nonce: &[u8], upstream: &Upstream, request: &ConnectRequest) -> Result<Vec<u8>> {
    if method == b"mysql_clear_password" {
        return in_clear(request);
    }
    // A token is not a password: its proof would only be refused.
    if upstream.sends_token {
        return Err(no_token_user(request));
    }
    let method = Method::named(method).ok_or_else(|| {
        let message = format!("{} asks for a kind of login that is not supported", request.address_label());
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

/// Opens sessions for one client.
pub struct RelayDriver {
    upstream: Arc<Upstream>,
    login: Login,
    /// What the client took of what it was offered; a server that is met later must have it too.
    asked: u32,
    /// The connection whose greeting the client has read, for the first attempt.
    opened: Arc<Waiting>,
}

/// The connection that waits for its client's login.
pub(crate) type Waiting = Mutex<Option<Opened>>;

/// Takes the connection that waits.
pub(crate) fn take(waiting: &Waiting) -> Option<Opened> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes it if it is one to this address; any other waits on, to be used or dismissed.
fn take_of(waiting: &Waiting, address: SocketAddr) -> Option<Opened> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.take_if(|opened| opened.to.address == address)
}

impl RelayDriver {
    pub(crate) fn new(upstream: Arc<Upstream>, login: Login, opened: Arc<Waiting>) -> Self {
        let waiting = opened.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = waiting.as_ref().map_or(0, |opened| opened.greeting.offered());
        drop(waiting);
        Self { upstream, asked: login.capabilities & offered, login, opened }
    }

    /// Creates the driver of sessions of our own, whose server is not known yet.
    pub(crate) fn own(upstream: Arc<Upstream>) -> Self {
        Self { upstream, login: Login::own(), asked: 0, opened: Arc::default() }
    }

    async fn open(&self, address: SocketAddr, request: &ConnectRequest) -> Result<Session> {
        let opened = match take_of(&self.opened, address) {
            Some(opened) => opened,
            None => Opened::connect(address, request, &self.upstream).await?,
        };
        opened.log_in(&self.upstream, &self.login, self.asked, request).await
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
            self.upstream.dialer.dial(&request, open).await
        })
    }

    fn query<'a>(&'a self, session: &'a mut Session, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async move {
            if session.capabilities & COMPRESSION != 0 {
                let message = "a plugin cannot ask a MySQL session whose client compresses";
                return Err(Error::new(ErrorKind::Configuration, message));
            }
            ask(&mut session.stream, session.capabilities, sql).await
        })
    }
}

/// A session that is ready: logged in, with what the server said last.
pub struct Session {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) ok: Vec<u8>,
    /// What server and client agreed on.
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
    use wrapper_adapter::{Dialer, Roots, SystemResolver};

    use super::{super::greeting::tests::greeting, *};
    use crate::tls::Tls;

    #[tokio::test]
    async fn greeted_connection_is_kept_where_another_address_is_tried_first() {
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
        let upstream = Arc::new(Upstream { tls, dialer, sends_token: true, asks_sessions: false });
        let driver = RelayDriver::new(upstream, Login::own(), Arc::clone(&waiting));

        driver.open(elsewhere, &request).await.expect_err("nothing listens");

        assert!(take(&waiting).is_some());
    }
}
