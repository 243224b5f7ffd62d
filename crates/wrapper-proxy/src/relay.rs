//! Moves bytes between a client and its session.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use wrapper_core::{Error, ErrorKind, adapter::AbortRegistration};

use crate::{copy::copy_both, listen::Local, session_stream::SessionStream, stats::Open};

/// How long a client may stay connected after its server has closed and every byte was delivered.
/// A pool that does not read its idle connections would hold the session's place without end.
const LINGER: Duration = Duration::from_secs(5);

/// The bytes that one session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from_client: u64,
    pub(crate) from_server: u64,
}

/// Moves an open session's bytes until it ends, or until a plugin aborts it.
pub(crate) async fn relay_session(
    mut client: Local,
    server: SessionStream,
    abort: &AbortRegistration,
    open: &Open<'_>,
) {
    // Counted here and not from the copy's result, which is lost if the session is aborted.
    let mut client = Counted::new(&mut client);
    let Some(mut server) = server.hand_over() else { return };
    let ended = tokio::select! {
        ended = relay(&mut client, &mut server) => ended,
        reason = aborted(abort) => {
            tracing::debug!(%reason, "session aborted");
            Ok(())
        }
    };
    open.moved(client.moved);
    if let Err(error) = ended {
        tracing::debug!(%error, "session failed");
    }
}

/// Completes when a plugin has aborted the session.
async fn aborted(abort: &AbortRegistration) -> Error {
    poll_fn(|context: &mut Context<'_>| match abort.register(context) {
        Ok(()) => Poll::Pending,
        Err(error) => Poll::Ready(
            Error::find(&error)
                .cloned()
                .unwrap_or_else(|| Error::new(ErrorKind::Connect, "the session was aborted")),
        ),
    })
    .await
}

/// Moves bytes both ways until both sides have closed; each side's end is passed on (half-close).
/// After the server's end there are no more answers, so the client has only [`LINGER`] left.
///
/// The proxy never writes anything of its own: message boundaries are unknown here, so an error
/// message could land inside a row. Many servers close without TLS's `close_notify`, and many
/// clients with a reset: both are ordinary ends.
async fn relay<C, S>(client: &mut Counted<'_, C>, server: &mut S) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let delivered = client.delivered.clone();
    let lingered = async {
        delivered.cancelled().await;
        sleep(LINGER).await;
    };
    // Dropping the copy loses buffered bytes, but after `delivered` there are none for the client.
    tokio::select! {
        copied = copy_both(client, server) => match copied {
            Err(error) if !is_an_end(&error) => Err(error),
            _ => Ok(()),
        },
        () = lingered => Ok(()),
    }
}

/// A client whose bytes are counted, also when its session is aborted.
struct Counted<'c, C> {
    client: &'c mut C,
    moved: Moved,
    /// Cancelled once every byte of the server, and its end, was delivered to the client.
    delivered: CancellationToken,
}

impl<'c, C> Counted<'c, C> {
    fn new(client: &'c mut C) -> Self {
        Self { client, moved: Moved::default(), delivered: CancellationToken::new() }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Counted<'_, C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut *self.client).poll_read(context, buffer))?;
        self.moved.from_client += (buffer.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Counted<'_, C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.client).poll_write(context, bytes))?;
        self.moved.from_server += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.client).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.client).poll_shutdown(context))?;
        // The copy shuts the client down only after the server's last byte was written and flushed.
        self.delivered.cancel();
        Poll::Ready(Ok(()))
    }
}

fn is_an_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn session_ends_after_its_server_though_the_client_stays() {
        let ((mut app, mut client), (mut server, mut backend)) = (duplex(64), duplex(64));
        backend.write_all(b"57P01").await.expect("is sent");
        drop(backend);

        let relayed =
            timeout(Duration::from_secs(3_600), relay(&mut Counted::new(&mut client), &mut server)).await;

        relayed.expect("ends").expect("as sessions do");
        drop(client);
        let mut read = Vec::new();
        app.read_to_end(&mut read).await.expect("is read");
        assert_eq!(read, b"57P01");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_client_reads_all_that_the_server_left() {
        let ((mut app, mut client), (mut server, mut backend)) = (duplex(64), duplex(1 << 16));
        backend.write_all(&[7; 50_000]).await.expect("is sent");
        drop(backend);
        let reader = tokio::spawn(async move {
            let (mut count, mut buffer) = (0, [0; 64]);
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                match app.read(&mut buffer).await.expect("is read") {
                    0 => return count,
                    read => count += read,
                }
            }
        });

        relay(&mut Counted::new(&mut client), &mut server).await.expect("as sessions do");
        drop(client);

        assert_eq!(reader.await.expect("ends"), 50_000);
    }
}
