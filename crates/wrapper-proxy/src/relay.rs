//! Moving bytes between a client and a session.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use wrapper_core::{Error, ErrorKind, adapter::AbortRegistration};

use crate::{listen::Local, stats::Open};

/// A TLS record holds no more: larger buffers cost memory and win nothing.
const BUFFER: usize = 16 * 1024;

/// Counts what one session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from_client: u64,
    pub(crate) from_server: u64,
}

/// Serves a session that is open: moves its bytes until its end, or until a plugin ends it.
pub(crate) async fn serve(
    client: &mut Local,
    server: &mut TlsStream<TcpStream>,
    abort: &AbortRegistration,
    open: &Open<'_>,
) {
    let moved = tokio::select! {
        moved = relay(client, server) => moved,
        reason = aborted(abort) => {
            tracing::debug!(%reason, "a session was ended");
            return;
        }
    };
    match moved {
        Ok(moved) => open.moved(moved),
        Err(error) => tracing::debug!(%error, "a session broke"),
    }
}

/// Ends once somebody aborted the session.
async fn aborted(abort: &AbortRegistration) -> Error {
    poll_fn(|context: &mut Context<'_>| match abort.register(context) {
        Ok(()) => Poll::Pending,
        Err(error) => Poll::Ready(
            Error::find(&error)
                .cloned()
                .unwrap_or_else(|| Error::new(ErrorKind::Connect, "the session was ended")),
        ),
    })
    .await
}

/// Moves bytes both ways until both sides have ended; each side's end passes to the other
/// (half-close).
///
/// Nothing of ours is ever written in between: borders of messages are not known here. Many servers
/// end without a TLS farewell, and many clients by a reset: that is an end like any other.
async fn relay<C, S>(client: &mut C, server: &mut S) -> io::Result<Moved>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    match copy_bidirectional_with_sizes(client, server, BUFFER, BUFFER).await {
        Ok((from_client, from_server)) => Ok(Moved { from_client, from_server }),
        Err(error) if is_an_end(&error) => Ok(Moved::default()),
        Err(error) => Err(error),
    }
}

fn is_an_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}
