//! Moving bytes between a client and a session.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use wrapper_core::{Error, ErrorKind, adapter::AbortRegistration};

use crate::{listen::Local, stats::Open};

/// A TLS record holds no more: larger buffers cost memory and win nothing.
const BUFFER: usize = 16 * 1024;

/// How long a client may stay whose server has ended, and who has been sent all of it: a pool that
/// does not look would hold a session's place for ever.
const LINGER: Duration = Duration::from_secs(5);

/// Counts what one session moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from_client: u64,
    pub(crate) from_server: u64,
}

/// Serves a session that is open: moves its bytes until its end, or until a plugin ends it.
pub(crate) async fn relay_session(
    client: &mut Local,
    server: &mut TlsStream<TcpStream>,
    abort: &AbortRegistration,
    open: &Open<'_>,
) {
    let mut client = Counted::new(client);
    let ended = tokio::select! {
        ended = relay(&mut client, server) => ended,
        reason = aborted(abort) => {
            tracing::debug!(%reason, "a session was ended");
            Ok(())
        }
    };
    open.moved(client.moved);
    if let Err(error) = ended {
        tracing::debug!(%error, "a session broke");
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
/// (half-close). A server that has ended answers no more, so its client has little time to end too.
///
/// Nothing of ours is ever written in between: borders of messages are not known here. Many servers
/// end without a TLS farewell, and many clients by a reset: that is an end like any other.
async fn relay<C, S>(client: &mut Counted<'_, C>, server: &mut S) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let told = client.told.clone();
    let lingered = async {
        told.cancelled().await;
        sleep(LINGER).await;
    };
    tokio::select! {
        copied = copy_bidirectional_with_sizes(client, server, BUFFER, BUFFER) => match copied {
            Err(error) if !is_an_end(&error) => Err(error),
            _ => Ok(()),
        },
        () = lingered => Ok(()),
    }
}

/// A client whose bytes are counted, however its session ends.
struct Counted<'c, C> {
    client: &'c mut C,
    moved: Moved,
    /// Cancelled once the client has all that its server said, and knows of the end.
    told: CancellationToken,
}

impl<'c, C> Counted<'c, C> {
    fn new(client: &'c mut C) -> Self {
        Self { client, moved: Moved::default(), told: CancellationToken::new() }
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
        self.told.cancel();
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
