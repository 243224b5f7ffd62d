//! A connect of the driver that cleans up when its caller drops it.

use std::{any::Any, mem, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, TryFutureExt};
use mysql_async::{Conn, Opts};
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument;
use wrapper_adapter::lacking_runtime;
use wrapper_core::Error;

/// How long a connect may continue after its caller has dropped it, and a goodbye may take.
const GRACE: Duration = Duration::from_secs(5);

/// The driver's result; after a panic, which an answer of a server can cause, what the runtime
/// lacks, if that is the reason.
type Opened = Result<mysql_async::Result<Conn>, Option<Error>>;

/// Opens a connection; an error if the driver panicked.
///
/// The connect runs in a task of its own, because two things depend on how it is given up. A server
/// counts aborted handshakes and blocks the address of the client after a hundred
/// (`max_connect_errors`), so an abandoned one is completed and then closed, within [`GRACE`]. And
/// a connection of the driver that is dropped drains what it was reading in a task that nothing
/// bounds.
pub(crate) async fn open(opts: Opts) -> Opened {
    let (answer, opened) = oneshot::channel();
    tokio::spawn(run(opts, answer).in_current_span());
    // Without an answer the runtime is shutting down.
    opened.await.unwrap_or(Err(None))
}

async fn run(opts: Opts, mut answer: oneshot::Sender<Opened>) {
    // The future holds no state of ours that a panic could leave inconsistent.
    let mut connecting = AssertUnwindSafe(Conn::new(opts)).catch_unwind().map_err(reason);
    let opened = tokio::select! {
        opened = &mut connecting => answer.send(opened).err(),
        () = answer.closed() => match timeout(GRACE, &mut connecting).await {
            Ok(opened) => Some(opened),
            Err(_) => return discard(connecting),
        },
    };
    if let Some(Ok(Ok(connection))) = opened {
        // Boxed: a future has room for its largest part in every connect, and this is rare.
        Box::pin(close(connection)).await;
    }
}

/// Closes a connection in order, within [`GRACE`].
pub(crate) async fn close(connection: Conn) {
    // Errors of the goodbye are ignored: nobody uses the connection.
    drop(timeout(GRACE, connection.disconnect()).await);
}

fn reason(panic: Box<dyn Any + Send>) -> Option<Error> {
    let lacking = lacking_runtime(&*panic);
    // Its value, which may be an application's, may panic again when it is dropped.
    mem::forget(panic);
    lacking
}

/// Drops a connecting future outside of any runtime, so that the driver cannot spawn the task that
/// would drain its connection.
fn discard(connecting: impl Send + 'static) {
    // If no thread can be spawned, it is dropped here, as without this function.
    drop(std::thread::Builder::new().spawn(move || drop(connecting)));
}
