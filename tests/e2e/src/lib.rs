//! An RDS-like server, a source of credentials and a clock, for tests across the crates.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use rds_testkit::{AccessKey, PostgresServer, PostgresServerBuilder};
use rds_wrapper::{
    Error, IamFactory, IamTokenProvider, Registry, Result,
    host::{Resolver, resolver_fn},
    pg::{Connector, ConnectorBuilder},
    plugins,
};
use token_cache::ManualClock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

pub mod cluster;
mod cut;
#[cfg(target_os = "linux")]
pub mod leftovers;
pub mod mysql;
pub mod secrets;
mod trace_capture;

pub use cut::{at_every_await, cut};
pub use trace_capture::TraceCapture;

/// The endpoint that the server plays.
pub const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// The user with `rds_iam`.
pub const USER: &str = "jane";

/// A PostgreSQL server with what belongs to it.
pub type Fixture = FixtureOf<PostgresServer>;

/// A server, a source of credentials that it knows, and one clock for both sides.
#[derive(Debug)]
pub struct FixtureOf<S> {
    /// The server.
    pub server: S,
    /// Where the credentials come from.
    pub source: CountingSource,
    /// The tokens signed with them.
    pub tokens: IamTokenProvider,
    /// The time of the server and of the tokens.
    pub clock: ManualClock,
}

impl<S> FixtureOf<S> {
    /// A fixture around a server that was started on the same clock.
    pub fn new(server: S, key: &AccessKey, clock: ManualClock) -> Self {
        let source = CountingSource::new(key);
        let tokens = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(source.clone()))
            .clock(Arc::new(clock.clone()))
            .build()
            .expect("the tokens can be built");
        Self { server, source, tokens, clock }
    }

    /// The plugins, with `iam` on this fixture's tokens, for connections of whichever driver.
    pub fn registry<C: Send + 'static>(&self) -> Registry<C> {
        plugins().with(IamFactory::new(self.tokens.clone()))
    }
}

/// A clock that stands until a test moves it.
pub fn clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// Resolves every name to this machine.
pub fn local() -> impl Resolver {
    resolver_fn(|_| Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]))
}

impl Fixture {
    /// Starts a server with [`HOST`] and [`USER`].
    pub async fn start() -> Self {
        Self::start_with(|server| server).await
    }

    /// Starts a server that is set up further.
    pub async fn start_with(set_up: impl FnOnce(PostgresServerBuilder) -> PostgresServerBuilder) -> Self {
        let clock = clock();
        let time = clock.clone();
        let builder =
            PostgresServer::builder().host(HOST).region("us-east-2").user(USER).clock(move || time.now());
        let server = set_up(builder).start().await.expect("the server starts");
        let key = server.access_key().clone();
        Self::new(server, &key, clock)
    }

    /// A connection string for the server under its RDS-like name.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@{HOST}:{}/app?plugins=iam", self.server.port())
    }

    /// A builder that resolves every name to this machine and trusts the server's authority.
    pub fn builder(&self, url: impl Into<String>) -> ConnectorBuilder {
        Connector::builder(self.registry())
            .connection_string(url)
            .resolver(local())
            .parameter("sslrootcert", self.server.ca_file().to_string_lossy().into_owned())
    }

    /// A connector for [`url`](Self::url).
    pub fn connector(&self) -> Connector {
        self.builder(self.url()).build().expect("the connector can be built")
    }
}

/// First bytes of other services, with the names for them in messages.
pub const OTHER_SERVICES: &[(&[u8], &str)] = &[
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server"),
    (b"\x15\x03\x03\0\x02\x02\x28", "a TLS server"),
    (b"220 mail.example ESMTP\r\n", "220 mail.example ESMTP"),
    (b"-ERR unknown command\r\n", "-ERR unknown command"),
];

/// Starts a service that sends these bytes to every client at once and keeps the connections open;
/// returns its port.
pub async fn service_that_sends(words: &'static [u8]) -> u16 {
    service(0, words).await
}

/// Starts one that does so once a client has sent this many bytes.
pub async fn service_that_answers(asked: usize, words: &'static [u8]) -> u16 {
    service(asked, words).await
}

async fn service(asked: usize, words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("is bound").port();
    tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.spawn(async move {
                if stream.read_exact(&mut vec![0; asked]).await.is_ok() {
                    let _ = stream.write_all(words).await;
                }
                // Kept open until the client leaves.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    port
}

/// Opens a connection, asks who it is logged in as, and closes it.
///
/// # Errors
///
/// The error of the connect.
pub async fn log_in(connector: &Connector) -> Result<String> {
    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);
    let row = client.query_one("SELECT current_user", &[]).await.expect("the server answers");
    drop(client);
    task.await.expect("the connection ends").expect("without an error");
    Ok(row.get(0))
}

/// Gives credentials and counts how often it was asked.
#[derive(Clone)]
pub struct CountingSource(Arc<State>);

struct State {
    calls: AtomicUsize,
    hangs: AtomicBool,
    credentials: Mutex<Option<Credentials>>,
}

impl CountingSource {
    /// A source of the credentials that belong to a key.
    pub fn new(key: &AccessKey) -> Self {
        let credentials = Mutex::new(Some(credentials(key, None)));
        Self(Arc::new(State { calls: AtomicUsize::new(0), hangs: AtomicBool::new(false), credentials }))
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Gives other credentials from now on.
    pub fn set(&self, key: &AccessKey, expiry: Option<SystemTime>) {
        *self.0.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials(key, expiry));
    }

    /// Gives no answer from now on, or answers again.
    pub fn hang(&self, hangs: bool) {
        self.0.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Fails from now on.
    pub fn fail(&self) {
        *self.0.credentials.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn credentials(key: &AccessKey, expiry: Option<SystemTime>) -> Credentials {
    Credentials::new(
        key.access_key_id(),
        key.secret_access_key(),
        key.session_token().map(str::to_owned),
        expiry,
        "e2e",
    )
}

impl ProvideCredentials for CountingSource {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let credentials = self.0.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hangs = self.0.hangs.load(Ordering::SeqCst);
        future::ProvideCredentials::new(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            // Lets the others arrive while the call is under way.
            tokio::task::yield_now().await;
            credentials.ok_or_else(|| CredentialsError::provider_error("the source is down"))
        })
    }
}

impl fmt::Debug for CountingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingSource").field("calls", &self.calls()).finish()
    }
}

/// The whole text of an error: its own and its causes'.
pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// A secret in the forms in which it could be written.
pub fn forms(secret: &str) -> Vec<String> {
    let encoded = |lower: bool| -> String {
        let encode = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ if lower => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        };
        secret.bytes().map(encode).collect()
    };
    let list = format!("{:?}", secret.as_bytes());
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![secret.to_owned(), encoded(false), encoded(true), list.trim_matches(['[', ']']).to_owned(), hex]
}

/// The programs in the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
