//! The TLS stack behind a connection, whichever it is, as one type.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};
use wrapper_core::{BoxFuture, Error, Phase, Progress, Result, Roots};

#[cfg(feature = "native-tls")]
mod native;
#[cfg(feature = "rustls")]
mod rustls_stack;

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
compile_error!("wrapper-pg needs a TLS stack: enable the feature `native-tls` or `rustls`");

/// Chooses among the TLS stacks that the features bring.
///
/// The default is native-tls where its feature is enabled, so that another crate that enables `rustls` changes nothing.
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

/// Makes TLS connections that verify the server's chain and name.
///
/// It is built once per connector, because building it parses all roots; clones share it. Hand it to the driver for cancel
/// requests: [`CancelToken::cancel_query`](tokio_postgres::CancelToken::cancel_query).
#[derive(Clone)]
pub struct Tls {
    stack: Stack,
    roots: Arc<Roots>,
}

#[derive(Clone)]
enum Stack {
    #[cfg(feature = "native-tls")]
    NativeTls(postgres_native_tls::MakeTlsConnector),
    #[cfg(feature = "rustls")]
    Rustls(tokio_postgres_rustls::MakeRustlsConnect),
}

impl Tls {
    /// Builds a connector that trusts the given roots.
    ///
    /// `direct` prepares for `sslnegotiation=direct`, which asks for ALPN.
    pub(crate) fn new(stack: TlsStack, roots: Roots, direct: bool) -> Result<Self> {
        let stack = match stack {
            #[cfg(feature = "native-tls")]
            TlsStack::NativeTls => Stack::NativeTls(native::connector(&roots, direct)?),
            #[cfg(feature = "rustls")]
            TlsStack::Rustls => Stack::Rustls(rustls_stack::connector(&roots, direct)?),
        };
        Ok(Self { stack, roots: Arc::new(roots) })
    }

    /// Wraps a connector that was made elsewhere, about which nothing is known.
    #[cfg(feature = "native-tls")]
    pub fn from_native_tls(connector: native_tls::TlsConnector) -> Self {
        let stack = Stack::NativeTls(postgres_native_tls::MakeTlsConnector::new(connector));
        Self { stack, roots: Arc::new(Roots::system()) }
    }

    /// Wraps a rustls configuration that was made elsewhere, about which nothing is known.
    #[cfg(feature = "rustls")]
    pub fn from_rustls(config: rustls::ClientConfig) -> Self {
        let stack = Stack::Rustls(tokio_postgres_rustls::MakeRustlsConnect::new(config));
        Self { stack, roots: Arc::new(Roots::system()) }
    }

    /// The same, noting on an attempt's progress when handshake and login begin.
    pub(crate) fn tracked(&self, progress: &Progress) -> Tracked {
        Tracked { tls: self.clone(), progress: progress.clone() }
    }

    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    async fn handshake(self, server_name: String, socket: Socket) -> Result<TlsStream> {
        match &self.stack {
            #[cfg(feature = "native-tls")]
            Stack::NativeTls(connector) => native::handshake(connector, &server_name, socket, &self.roots)
                .await
                .map(TlsStream::NativeTls),
            #[cfg(feature = "rustls")]
            Stack::Rustls(connector) => rustls_stack::handshake(connector, &server_name, socket, &self.roots)
                .await
                .map(|stream| TlsStream::Rustls(Box::new(stream))),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stack = match self.stack {
            #[cfg(feature = "native-tls")]
            Stack::NativeTls(_) => "native-tls",
            #[cfg(feature = "rustls")]
            Stack::Rustls(_) => "rustls",
        };
        f.debug_struct("Tls").field("stack", &stack).field("roots", &self.roots.to_string()).finish()
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
        })
    }
}

/// [`Tls`] for one attempt.
pub(crate) struct Tracked {
    tls: Tls,
    progress: Progress,
}

impl MakeTlsConnect<Socket> for Tracked {
    type Stream = TlsStream;
    type TlsConnect = Handshake;
    type Error = Error;

    fn make_tls_connect(&mut self, server_name: &str) -> Result<Handshake> {
        // The driver asks as soon as the TCP connection stands.
        self.progress.enter(Phase::Tls);
        Ok(Handshake {
            tls: self.tls.clone(),
            server_name: server_name.to_owned(),
            progress: self.progress.clone(),
        })
    }
}

/// A handshake that is about to begin.
pub struct Handshake {
    tls: Tls,
    server_name: String,
    progress: Progress,
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
            let stream = self.tls.handshake(self.server_name, socket).await?;
            self.progress.enter(Phase::Login);
            Ok(stream)
        })
    }
}

/// An encrypted connection of whichever TLS stack.
pub enum TlsStream {
    /// Of the platform's TLS library.
    #[cfg(feature = "native-tls")]
    NativeTls(postgres_native_tls::TlsStream<Socket>),
    /// Of rustls.
    #[cfg(feature = "rustls")]
    Rustls(Box<rustls_stack::Stream>),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            #[cfg(feature = "native-tls")]
            TlsStream::NativeTls($inner) => $call,
            #[cfg(feature = "rustls")]
            TlsStream::Rustls($inner) => $call,
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
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl tokio_postgres::tls::TlsStream for TlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        each!(self, stream => stream.channel_binding())
    }
}
