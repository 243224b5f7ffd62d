//! Accepting connections for as long as a server lives, short of file descriptors or not.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// The pause before another try: descriptors are closed as connections end.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts the next connection.
///
/// # Cancel safety
///
/// No connection is lost if the future is dropped.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    accept_with(|| listener.accept(), pause).await.0
}

async fn accept_with<T, A, P>(mut accept: impl FnMut() -> A, pause: impl Fn() -> P) -> T
where
    A: Future<Output = io::Result<T>>,
    P: Future<Output = ()>,
{
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            // The client gave up before it was accepted; the next one may be waiting.
            Err(error) if is_of_client(&error) => {}
            // Such as EMFILE. The connection stays in the backlog and the socket stays ready, so
            // another try at once would fail again, and again, on a whole core.
            Err(_) => pause().await,
        }
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Waits on a thread: a runtime under test may have no timer, or one that is paused and would
/// jump ahead.
async fn pause() {
    // It fails only where the runtime shuts down, which drops the server too.
    let _ = tokio::task::spawn_blocking(|| std::thread::sleep(PAUSE)).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{poll_fn, ready};
    use std::io::{Error, ErrorKind, Result};
    use std::task::Poll;

    use super::accept_with;

    /// Accepts with these results; returns what happened, in order.
    async fn accepted(results: impl IntoIterator<Item = Result<u16>>) -> Vec<String> {
        let (mut results, events) = (results.into_iter(), RefCell::new(Vec::new()));
        let pause = || {
            events.borrow_mut().push("pause".to_owned());
            let mut is_over = false;
            poll_fn(move |context| match std::mem::replace(&mut is_over, true) {
                true => Poll::Ready(()),
                false => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            })
        };
        let next = accept_with(|| ready(results.next().expect("no try after the last")), pause).await;
        events.borrow_mut().push(next.to_string());
        events.into_inner()
    }

    fn system(number: i32) -> Result<u16> {
        Err(Error::from_raw_os_error(number))
    }

    #[tokio::test]
    async fn client_is_accepted_at_once() {
        assert_eq!(accepted([Ok(1)]).await, ["1"]);
    }

    #[tokio::test]
    async fn clients_that_gave_up_are_skipped_without_a_pause() {
        let gone = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
        let results = gone.into_iter().map(|kind| Err(kind.into())).chain([Ok(1)]);
        assert_eq!(accepted(results).await, ["1"]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn lack_of_descriptors_or_memory_pauses_each_time() {
        let (emfile, enfile, enobufs, enomem) = (24, 23, 105, 12);
        let results = [system(emfile), system(enfile), system(enobufs), system(enomem), Ok(1)];
        assert_eq!(accepted(results).await, ["pause", "pause", "pause", "pause", "1"]);
    }
}
