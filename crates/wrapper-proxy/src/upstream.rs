//! Connecting to a server: what both engines share.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use wrapper_adapter::{Dialer, Resolver, TlsMode, read_roots};
use wrapper_core::{
    Cause, ConnectRequest, Error, ErrorKind, Options, Password, Plugin, Registry, Requirements, Result,
    adapter::{Phase, Progress, RawParameters},
};

use crate::{mysql::FinishingPlaces, source::UrlForm, tls::Tls};

/// The time to end a connection to a server in order. After a drain a frozen server delays the
/// proxy's own end by no more than this.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// The settings that the sessions of one target share.
pub struct Upstream {
    pub(crate) tls: Tls,
    pub(crate) dialer: Dialer,
    pub(crate) resolver: Arc<dyn Resolver>,
    /// Whether the password is a token, which must never be used in SCRAM or MD5: the server cannot
    /// verify it that way.
    pub(crate) sends_token: bool,
    /// Whether a plugin may query a session before its client has it.
    pub(crate) asks_sessions: bool,
    /// The sessions without a client that are being ended.
    pub(crate) goodbyes: TaskTracker,
    pub(crate) finishing: FinishingPlaces,
}

/// The plugins that are known not to query sessions.
const ASKING_NOTHING: [&str; 2] = ["awsSecretsManager", "iam"];

/// The parts of a target's connection string.
pub(crate) struct Source<C> {
    pub(crate) request: ConnectRequest,
    pub(crate) plugins: Vec<Arc<dyn Plugin<C>>>,
    pub(crate) options: Options,
    pub(crate) upstream: Arc<Upstream>,
}

impl<C: Send + 'static> Source<C> {
    /// Reads a connection string. The server's certificate chain and name are always verified.
    pub(crate) fn read(
        form: &UrlForm,
        url: &str,
        registry: &Registry<C>,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self> {
        let mut given = RawParameters::new();
        let request = form.read(url, registry, &mut given)?;
        let (plugins, options) = registry.build(&given, std::slice::from_ref(&request))?;
        let sends_token = Requirements::of(&plugins).cleartext_password;
        if !matches!(TlsMode::read(&options, Requirements::TOKEN)?, None | Some(TlsMode::Verify)) {
            return Err(TlsMode::insufficient_tls("sslmode"));
        }
        let roots = read_roots(&options, &[]).map_err(|error| registry.explain(&request, error))?;
        let tls = Tls::new(roots)?;
        let dialer = Dialer::new(Arc::clone(&resolver), false);
        // An unknown plugin of an application may query sessions, so only known ones are exempt.
        let asks_sessions = plugins.iter().any(|plugin| !ASKING_NOTHING.contains(&plugin.code()));
        let goodbyes = TaskTracker::new();
        let finishing = FinishingPlaces::default();
        let upstream = Upstream { tls, dialer, resolver, sends_token, asks_sessions, goodbyes, finishing };
        let upstream = Arc::new(upstream);
        Ok(Self { request, plugins, options, upstream })
    }
}

/// One address of a server, and the name that its certificate must hold.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    pub(crate) tls_name: String,
    /// Host and port, for messages.
    pub(crate) label: String,
}

impl Destination {
    pub(crate) fn new(address: SocketAddr, request: &ConnectRequest) -> Self {
        let (tls_name, label) = (request.tls_name().to_owned(), request.address_label());
        Self { address, tls_name, label }
    }
}

/// Opens a TCP connection, with the options of [`socket`](crate::socket).
pub(crate) async fn dial(to: &Destination, progress: &Progress) -> Result<TcpStream> {
    progress.enter(Phase::Dial);
    let dialled = async {
        let stream = TcpStream::connect(to.address).await?;
        crate::socket::set_up(&stream)?;
        Ok(stream)
    };
    dialled.await.map_err(|error: io::Error| {
        let message = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("nothing listens on {}: check host and port", to.label)
            }
            _ => format!("no TCP connection to {}", to.label),
        };
        Error::new(ErrorKind::Connect, message).with_source(error)
    })
}

pub(crate) fn password(request: &ConnectRequest) -> Result<&Password> {
    request.password().ok_or_else(|| {
        let message = format!("{} asks for a password, but the target has none", request.address_label());
        let cause = Cause::new(Cause::PASSWORD_MISSING, "missing password", "add it to the target's URL");
        Error::new(ErrorKind::Configuration, message).with_diagnosis([cause])
    })
}

/// Creates the error for a server that asks for a proof of a password: its user is no IAM user.
pub(crate) fn no_token_user(request: &ConnectRequest) -> Error {
    let message = format!("{} asks user `{}` for a password", request.address_label(), request.user());
    let cause = Cause::new(
        Cause::PASSWORD_REFUSED,
        "the user logs in by a password, not by a token",
        "grant it `rds_iam`",
    );
    Error::new(ErrorKind::Login, message).with_diagnosis([cause])
}

pub(crate) fn closed(label: &str, progress: &Progress, error: io::Error) -> Error {
    let message = format!("{label} closed the connection while {}", progress.phase());
    Error::new(ErrorKind::Connect, message).with_source(error)
}

pub(crate) fn unreadable(request: &ConnectRequest) -> Error {
    let message = format!("malformed message of {} during the login", request.address_label());
    Error::new(ErrorKind::Driver, message)
}
