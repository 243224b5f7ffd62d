//! Messages over a stream: pgwire's codec, without its server.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::server_error::ServerError;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection's stream and buffers.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    context: DecodeContext,
}

/// The facts of the TLS handshake.
pub(super) struct Handshake {
    pub(super) server_name: Option<String>,
    pub(super) protocol: Option<Vec<u8>>,
}

impl Wire {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            input: BytesMut::new(),
            output: BytesMut::new(),
            context: DecodeContext::new(ProtocolVersion::PROTOCOL3_0),
        }
    }

    /// Continues over TLS; the next message is the startup message.
    pub(super) async fn encrypt(self, config: Arc<ServerConfig>) -> io::Result<(Self, Handshake)> {
        // Clear-text bytes sent ahead of the handshake must not count as encrypted
        // (CVE-2021-23214).
        if !self.input.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "clear text before the TLS handshake"));
        }
        let stream = TlsAcceptor::from(config).accept(self.stream).await?;
        let tls = stream.get_ref().1;
        let handshake = Handshake {
            server_name: tls.server_name().map(str::to_owned),
            protocol: tls.alpn_protocol().map(<[u8]>::to_vec),
        };
        let mut wire = Self { stream: Box::new(stream), ..self };
        wire.expect_startup();
        Ok((wire, handshake))
    }

    /// Reads the next message as a startup message or cancel request.
    pub(super) fn expect_startup(&mut self) {
        self.context.awaiting_frontend_ssl = false;
    }

    /// Reads all further messages as those of a session.
    pub(super) fn expect_messages(&mut self) {
        self.context.awaiting_frontend_startup = false;
    }

    /// Reads one message; `None` at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<Option<PgWireFrontendMessage>> {
        loop {
            // Before the read: one read may have brought several messages.
            if let Some(message) = PgWireFrontendMessage::decode(&mut self.input, &self.context)? {
                return Ok(Some(message));
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads the body of a password message.
    pub(super) async fn read_password(&mut self) -> io::Result<Vec<u8>> {
        match self.read().await? {
            Some(PgWireFrontendMessage::PasswordMessageFamily(PasswordMessageFamily::Raw(body))) => {
                Ok(body.to_vec())
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    pub(super) fn feed(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        Ok(message.encode(&mut self.output)?)
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.output).await?;
        self.stream.flush().await
    }

    /// Returns the number of buffered bytes.
    pub(super) fn pending(&self) -> usize {
        self.output.len()
    }

    /// Sends only the first half of the bytes after `start`; the connection then ends with this
    /// error.
    pub(super) async fn cut_after(&mut self, start: usize) -> io::Error {
        // What is buffered before `start` belongs to earlier answers and is sent whole.
        self.output.truncate(start + (self.output.len() - start) / 2);
        self.flush().await.err().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }

    pub(super) async fn send(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        self.feed(message)?;
        self.flush().await
    }

    /// Buffers messages of another server unchanged.
    pub(super) fn feed_bytes(&mut self, messages: &[u8]) {
        self.output.extend_from_slice(messages);
    }

    /// Relays bytes between the client and another server until both have finished.
    pub(super) async fn splice(&mut self, mut other: TcpStream) -> io::Result<()> {
        self.flush().await?;
        // A client may have sent its first statement ahead.
        other.write_all(&self.input.split()).await?;
        copy_bidirectional(&mut self.stream, &mut other).await.map(drop)
    }

    /// Flushes and shuts the stream down, with TLS's close_notify.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }
}

/// Returns the message for an error of this severity.
pub(super) fn error_response(severity: &str, error: &ServerError) -> PgWireBackendMessage {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.code.clone()),
        (b'M', error.message.clone()),
    ];
    fields.extend(error.detail.clone().map(|detail| (b'D', detail)));
    fields.extend(error.hint.clone().map(|hint| (b'H', hint)));
    PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
}
