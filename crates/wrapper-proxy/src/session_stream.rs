//! The connection of a session that no client has yet.

use std::ops::{Deref, DerefMut};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use crate::upstream::FAREWELL;

/// A session's connection. Dropped before it is handed to a client, as by a plugin that wants
/// another instance, it ends with the protocol's goodbye: servers log and count sessions that break
/// off.
pub(crate) struct SessionStream<S: AsyncWrite + Send + Unpin + 'static = TlsStream<TcpStream>> {
    /// Taken by the functions that consume the value, and by nothing else. Boxed: a session's
    /// future has a place for each function that the stream passes through.
    stream: Option<Box<S>>,
    goodbye: &'static [u8],
    /// The goodbyes under way, which the proxy waits for at its end.
    goodbyes: TaskTracker,
}

impl<S: AsyncWrite + Send + Unpin + 'static> SessionStream<S> {
    pub(crate) fn new(stream: S, goodbye: &'static [u8], goodbyes: &TaskTracker) -> Self {
        Self { stream: Some(Box::new(stream)), goodbye, goodbyes: goodbyes.clone() }
    }

    /// Hands the session to a client, which says goodbye itself.
    pub(crate) fn hand_over(mut self) -> Option<Box<S>> {
        self.stream.take()
    }

    /// Ends the session, and waits for that.
    pub(crate) async fn end(mut self) {
        if let Some(stream) = self.stream.take() {
            end(stream, self.goodbye).await;
        }
    }
}

async fn end(mut stream: impl AsyncWrite + Unpin, goodbye: &[u8]) {
    let ended = async {
        // The server closes the connection in any case.
        drop(stream.write_all(goodbye).await);
        drop(stream.shutdown().await);
    };
    drop(timeout(FAREWELL, ended).await);
}

impl<S: AsyncWrite + Send + Unpin + 'static> Drop for SessionStream<S> {
    fn drop(&mut self) {
        if let (Some(stream), Ok(runtime)) = (self.stream.take(), Handle::try_current()) {
            self.goodbyes.spawn_on(end(stream, self.goodbye), &runtime);
        }
    }
}

impl<S: AsyncWrite + Send + Unpin + 'static> Deref for SessionStream<S> {
    type Target = S;

    #[expect(clippy::expect_used, reason = "the functions that take the stream consume the value")]
    fn deref(&self) -> &S {
        self.stream.as_ref().expect("the stream was not taken")
    }
}

impl<S: AsyncWrite + Send + Unpin + 'static> DerefMut for SessionStream<S> {
    #[expect(clippy::expect_used, reason = "the functions that take the stream consume the value")]
    fn deref_mut(&mut self) -> &mut S {
        self.stream.as_mut().expect("the stream was not taken")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn session_without_a_client_is_closed_with_a_farewell() {
        let (near, mut far) = duplex(64);
        drop(SessionStream::new(near, b"quit", &TaskTracker::new()));

        let mut read = Vec::new();
        far.read_to_end(&mut read).await.expect("is read");

        assert_eq!(read, b"quit");
    }

    #[tokio::test]
    async fn farewell_of_a_dropped_session_is_waited_for() {
        let ((near, mut far), goodbyes) = (duplex(1), TaskTracker::new());
        drop(SessionStream::new(near, b"quit", &goodbyes));
        goodbyes.close();

        let mut read = Vec::new();
        tokio::join!(goodbyes.wait(), async { far.read_to_end(&mut read).await.expect("is read") });

        assert_eq!(read, b"quit");
    }

    #[tokio::test]
    async fn session_handed_to_a_client_is_closed_without_a_farewell() {
        let (near, mut far) = duplex(64);
        drop(SessionStream::new(near, b"quit", &TaskTracker::new()).hand_over());

        let mut read = Vec::new();
        far.read_to_end(&mut read).await.expect("is read");

        assert_eq!(read, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_reads_nothing_delays_the_end_for_a_limited_time() {
        let (near, _far) = duplex(1);
        SessionStream::new(near, b"quit", &TaskTracker::new()).end().await;
    }
}
