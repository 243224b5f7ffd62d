//! Moves bytes both ways between two streams, with no buffer for those that are idle.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest TLS record: larger buffers cost memory and are no faster.
const RECORD: usize = 16 * 1024;

thread_local! {
    /// What was read and is written in the same poll: most sessions are idle, and a buffer for each
    /// of their directions would be most of their memory.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORD].into());
}

/// Moves bytes until both sides have closed; each side's end is passed on.
///
/// # Errors
///
/// Returns the first error of either stream.
pub(crate) async fn copy_both<A, B>(one: &mut A, other: &mut B) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Direction::default(), Direction::default());
    poll_fn(|context| {
        // Both are polled: each registers its own wake-ups.
        let there = there.poll(context, Pin::new(&mut *one), Pin::new(&mut *other))?;
        let back = back.poll(context, Pin::new(&mut *other), Pin::new(&mut *one))?;
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// One direction.
#[derive(Default)]
struct Direction {
    state: State,
    /// What was read and could not be written at once.
    left: Vec<u8>,
    /// How much of `left` was written since.
    written: usize,
    needs_flush: bool,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Open,
    /// The reader has ended, and all that it sent was written.
    Ending,
    Ended,
}

impl Direction {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut reader: Pin<&mut impl AsyncRead>,
        mut writer: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.state {
                State::Open => {
                    ready!(self.poll_left(context, writer.as_mut()))?;
                    match self.poll_pass(context, reader.as_mut(), writer.as_mut())? {
                        Poll::Ready(0) => self.state = State::Ending,
                        Poll::Ready(_) => {}
                        Poll::Pending => {
                            // Nobody waits for more, so that what was written must not wait either.
                            if self.needs_flush {
                                ready!(writer.as_mut().poll_flush(context))?;
                                self.needs_flush = false;
                            }
                            return Poll::Pending;
                        }
                    }
                }
                State::Ending => {
                    ready!(writer.as_mut().poll_shutdown(context))?;
                    self.state = State::Ended;
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Writes what is left, and frees its memory.
    fn poll_left(
        &mut self,
        context: &mut Context<'_>,
        mut writer: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.left.len() {
            let written = ready!(writer.as_mut().poll_write(context, &self.left[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.needs_flush = true;
        }
        (self.left, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Reads once, writes what it can of that, and keeps the rest; returns how much was read.
    fn poll_pass(
        &mut self,
        context: &mut Context<'_>,
        reader: Pin<&mut impl AsyncRead>,
        writer: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<usize>> {
        // Neither call runs another task, which could need the buffer too.
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(reader.poll_read(context, &mut buffer))?;
            let read = buffer.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let written = match writer.poll_write(context, read)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => written,
                Poll::Pending => 0,
            };
            self.needs_flush |= written > 0;
            self.left = read[written..].to_vec();
            Poll::Ready(Ok(read.len()))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_whatever_the_buffers_hold() {
        for (small, large) in [(1, 1 << 16), (1 << 16, 1), (7, 13)] {
            let ((mut app, mut client), (mut server, mut backend)) = (duplex(small), duplex(large));
            let sent: Vec<u8> = (0..40_000_u32).map(|byte| byte as u8).collect();
            let exchange = async |stream: &mut tokio::io::DuplexStream| {
                let (mut reader, mut writer) = tokio::io::split(stream);
                let mut read = Vec::new();
                let (written, end) = tokio::join!(
                    async {
                        writer.write_all(&sent).await?;
                        writer.shutdown().await
                    },
                    reader.read_to_end(&mut read)
                );
                written.and(end).expect("is moved");
                read
            };

            let (copied, there, back) =
                tokio::join!(copy_both(&mut client, &mut server), exchange(&mut app), exchange(&mut backend));

            copied.expect("ends");
            assert!(there == sent && back == sent, "{small} {large}");
        }
    }

    #[tokio::test]
    async fn end_of_one_side_is_passed_on_while_the_other_goes_on() {
        let ((mut app, mut client), (mut server, mut backend)) = (duplex(64), duplex(64));
        let copying = tokio::spawn(async move { copy_both(&mut client, &mut server).await });
        app.write_all(b"question").await.expect("is sent");
        app.shutdown().await.expect("ends");

        let mut read = Vec::new();
        backend.read_to_end(&mut read).await.expect("is read");
        backend.write_all(b"answer").await.expect("is sent");
        drop(backend);

        assert_eq!(read, b"question");
        read.clear();
        app.read_to_end(&mut read).await.expect("is read");
        assert_eq!(read, b"answer");
        copying.await.expect("runs").expect("ends");
    }

    #[tokio::test]
    async fn error_of_a_stream_ends_the_copy() {
        let ((mut app, mut client), (mut server, backend)) = (duplex(64), duplex(64));
        drop(backend);
        app.write_all(b"question").await.expect("is sent");

        let error = copy_both(&mut client, &mut server).await.expect_err("nobody reads");

        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn direction_that_is_idle_holds_no_memory() {
        let ((mut app, mut client), (mut server, mut backend)) = (duplex(1 << 16), duplex(16));
        app.write_all(&[7; 30_000]).await.expect("is sent");
        let mut there = Direction::default();
        let mut read = [0; 30_000];
        let reading = async {
            backend.read_exact(&mut read).await.expect("is read");
        };
        let copying =
            poll_fn(|context| there.poll(context, Pin::new(&mut client), Pin::new(&mut server)).map(drop));

        tokio::select! {
            () = copying => panic!("the client is still there"),
            () = reading => {}
        }

        assert_eq!((there.left.capacity(), there.written), (0, 0));
    }
}
