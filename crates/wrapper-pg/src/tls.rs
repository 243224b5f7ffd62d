//! One type of stream for all TLS stacks.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};
use wrapper_adapter::{ClientCertificate, Roots, TlsFailure, Trust, Trusted, explain_tls_failure};
use wrapper_core::{
    BoxFuture, ConnectRequest, Error, ErrorKind, Result,
    adapter::{AbortRegistration, Phase, Progress},
};

#[cfg(feature = "native-tls")]
mod native;
#[cfg(feature = "rustls")]
mod rustls_stack;

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
compile_error!("wrapper-pg needs a TLS stack: enable the feature `native-tls` or `rustls`");

/// Chooses among the TLS stacks that the features enable.
///
/// The default is native-tls where its feature is enabled, so that another crate that enables
/// `rustls` changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsStack {
    /// The platform's library.
    #[cfg(feature = "native-tls")]
    NativeTls,
    /// rustls with aws-lc-rs.
    #[cfg(feature = "rustls")]
    Rustls,
}

impl Default for TlsStack {
    fn default() -> Self {
        #[cfg(feature = "native-tls")]
        let stack = Self::NativeTls;
        #[cfg(not(feature = "native-tls"))]
        let stack = Self::Rustls;
        stack
    }
}

/// The settings of a connector's TLS, apart from the roots.
#[derive(Clone)]
pub(crate) struct TlsPlan {
    pub(crate) stack: TlsStack,
    /// For `sslnegotiation=direct`, which asks for ALPN.
    pub(crate) direct: bool,
    pub(crate) certificate: Option<ClientCertificate>,
    #[cfg(feature = "rustls")]
    pub(crate) provider: Option<Arc<rustls::crypto::CryptoProvider>>,
}

/// Makes TLS connections that verify the server's chain and name.
///
/// It is built once per connector, because building it parses all roots; clones share it. Root
/// files are reloaded, once a minute at most, when a server's issuer is unknown. Hand it to the
/// driver for cancel requests:
/// [`CancelToken::cancel_query`](tokio_postgres::CancelToken::cancel_query).
#[derive(Clone)]
pub struct Tls(Trust<Stack>);

#[derive(Clone)]
enum Stack {
    #[cfg(feature = "native-tls")]
    NativeTls(postgres_native_tls::MakeTlsConnector),
    /// For `sslmode=disable`.
    Off,
    #[cfg(feature = "rustls")]
    Rustls(tokio_postgres_rustls::MakeRustlsConnect),
}

impl Tls {
    /// Builds a connector that trusts the given roots.
    pub(crate) fn new(plan: TlsPlan, roots: Roots) -> Result<Self> {
        let make = move |roots: &Roots| {
            Ok(match plan.stack {
                #[cfg(feature = "native-tls")]
                TlsStack::NativeTls => Stack::NativeTls(native::connector(roots, &plan)?),
                #[cfg(feature = "rustls")]
                TlsStack::Rustls => Stack::Rustls(rustls_stack::connector(roots, &plan)?),
            })
        };
        Trust::new(roots, make).map(Self)
    }

    /// Creates the TLS of a connector with `sslmode=disable`, which fails every handshake.
    pub(crate) fn off() -> Self {
        Self(Trust::fixed(Roots::system(), Stack::Off))
    }

    /// Wraps a connector that was built elsewhere; its roots are unknown and never reloaded.
    #[cfg(feature = "native-tls")]
    pub fn from_native_tls(connector: native_tls::TlsConnector) -> Self {
        let stack = Stack::NativeTls(postgres_native_tls::MakeTlsConnector::new(connector));
        Self(Trust::fixed(Roots::system(), stack))
    }

    /// Wraps a rustls configuration that was built elsewhere; its roots are unknown and never
    /// reloaded.
    #[cfg(feature = "rustls")]
    pub fn from_rustls(config: rustls::ClientConfig) -> Self {
        let stack = Stack::Rustls(tokio_postgres_rustls::MakeRustlsConnect::new(config));
        Self(Trust::fixed(Roots::system(), stack))
    }

    /// Returns the TLS of one attempt: it notes when handshake and login begin and which roots
    /// lacked the issuer, and its streams can be ended from elsewhere.
    pub(crate) fn tracked(
        &self,
        request: &ConnectRequest,
        mode: SslMode,
        unknown_issuer: &UnknownIssuer,
    ) -> Tracked {
        let dialled = match mode {
            SslMode::Disable => Phase::Login,
            SslMode::Require => Phase::Tls,
            // The driver does not report that the server declined TLS and the login began without.
            _ => Phase::Open,
        };
        Tracked {
            tls: self.clone(),
            progress: request.progress().clone(),
            dialled,
            unknown_issuer: unknown_issuer.clone(),
            abort: request.abort_registration().clone(),
        }
    }

    /// Returns the current roots.
    pub(crate) fn roots(&self) -> Roots {
        self.0.current().roots.clone()
    }

    /// Returns whether the roots have changed since they lacked the issuer, so that a retry may
    /// succeed.
    pub(crate) async fn may_know(&self, unknown_issuer: &UnknownIssuer) -> bool {
        match unknown_issuer.0.get() {
            Some(trusted) => self.0.renewed(trusted).await.is_some(),
            None => false,
        }
    }

    async fn handshake(
        self,
        server_name: String,
        socket: Socket,
        unknown_issuer: UnknownIssuer,
    ) -> Result<Encrypted> {
        // Held across the handshake: what it verifies with does not change under it.
        let trusted = self.0.current();
        let outcome = match &trusted.made {
            #[cfg(feature = "native-tls")]
            Stack::NativeTls(connector) => {
                native::handshake(connector, &server_name, socket).await.map(Encrypted::NativeTls)
            }
            Stack::Off => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    "the connector was built for `sslmode` `disable` and does no TLS",
                ));
            }
            #[cfg(feature = "rustls")]
            Stack::Rustls(connector) => rustls_stack::handshake(connector, &server_name, socket)
                .await
                .map(|stream| Encrypted::Rustls(Box::new(stream))),
        };
        outcome.map_err(|(failure, source)| {
            let error = explain_tls_failure(failure, &server_name, &trusted.roots).with_source(source);
            if failure == TlsFailure::UnknownIssuer {
                // The roots of this very handshake: others may have been loaded since it began.
                drop(unknown_issuer.0.set(trusted));
            }
            error
        })
    }
}

/// The reason and the error of a failed handshake.
type Failed = (TlsFailure, Box<dyn std::error::Error + Send + Sync>);

/// The roots that lacked the server's issuer in one attempt.
#[derive(Clone, Default)]
pub(crate) struct UnknownIssuer(Arc<OnceLock<Arc<Trusted<Stack>>>>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusted = self.0.current();
        let stack = match trusted.made {
            #[cfg(feature = "native-tls")]
            Stack::NativeTls(_) => "native-tls",
            Stack::Off => "off",
            #[cfg(feature = "rustls")]
            Stack::Rustls(_) => "rustls",
        };
        f.debug_struct("Tls").field("stack", &stack).field("roots", &trusted.roots.to_string()).finish()
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream;
    type TlsConnect = Handshake;
    type Error = Error;

    fn make_tls_connect(&mut self, server_name: &str) -> Result<Handshake> {
        Ok(Handshake {
            tls: self.clone(),
            server_name: server_name.to_owned(),
            progress: Progress::default(),
            unknown_issuer: UnknownIssuer::default(),
            abort: AbortRegistration::default(),
        })
    }
}

/// [`Tls`] for one attempt.
pub(crate) struct Tracked {
    tls: Tls,
    progress: Progress,
    /// The phase that begins once the TCP connection is open.
    dialled: Phase,
    unknown_issuer: UnknownIssuer,
    abort: AbortRegistration,
}

impl MakeTlsConnect<Socket> for Tracked {
    type Stream = TlsStream;
    type TlsConnect = Handshake;
    type Error = Error;

    fn make_tls_connect(&mut self, server_name: &str) -> Result<Handshake> {
        // The driver calls this once the TCP connection is open.
        self.progress.enter(self.dialled);
        Ok(Handshake {
            tls: self.tls.clone(),
            server_name: server_name.to_owned(),
            progress: self.progress.clone(),
            unknown_issuer: self.unknown_issuer.clone(),
            abort: self.abort.clone(),
        })
    }
}

/// A handshake that is about to begin.
pub struct Handshake {
    tls: Tls,
    server_name: String,
    progress: Progress,
    unknown_issuer: UnknownIssuer,
    abort: AbortRegistration,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsConnect<Socket> for Handshake {
    type Stream = TlsStream;
    type Error = Error;
    type Future = BoxFuture<'static, Result<TlsStream>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            self.progress.enter(Phase::Tls);
            let stream = self.tls.handshake(self.server_name, socket, self.unknown_issuer).await?;
            self.progress.enter(Phase::Login);
            Ok(TlsStream { stream, abort: self.abort })
        })
    }
}

/// An encrypted connection over either TLS stack, which fails as soon as its
/// [`AbortHandle`](wrapper_core::AbortHandle) ends it.
pub struct TlsStream {
    stream: Encrypted,
    abort: AbortRegistration,
}

enum Encrypted {
    #[cfg(feature = "native-tls")]
    NativeTls(postgres_native_tls::TlsStream<Socket>),
    #[cfg(feature = "rustls")]
    Rustls(Box<rustls_stack::Stream>),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            #[cfg(feature = "native-tls")]
            Encrypted::NativeTls($inner) => $call,
            #[cfg(feature = "rustls")]
            Encrypted::Rustls($inner) => $call,
        }
    };
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsStream")
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, abort } = self.get_mut();
        abort.check()?;
        let read = each!(stream, stream => Pin::new(stream).poll_read(cx, buffer));
        if read.is_pending() {
            // Once the read has to wait; an abort since the check above is found by `register`
            // itself.
            abort.register(cx)?;
        }
        read
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, abort } = self.get_mut();
        abort.check()?;
        each!(stream, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, abort } = self.get_mut();
        // Here too: the driver does not read while an answer is not fetched, but it flushes
        // whenever it is woken.
        abort.check()?;
        each!(stream, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Without a check: closing is what an abort leads to.
        each!(&mut self.get_mut().stream, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl tokio_postgres::tls::TlsStream for TlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        each!(&self.stream, stream => stream.channel_binding())
    }
}
