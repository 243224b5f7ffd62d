//! A connect of the driver that leaves nothing behind when its caller gives it up.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use mysql_async::{Conn, Opts};
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument;

/// How long a connect may go on whose caller has gone.
const GRACE: Duration = Duration::from_secs(5);

/// What the driver makes of a connect: its result, or the panic that a server's answer brought
/// about.
type Opened = Result<mysql_async::Result<Conn>, Panic>;

type Panic = Box<dyn Any + Send>;

/// Opens a connection; an error if the driver panicked.
///
/// The connect runs in a task of its own, because two things depend on how it is given up. A server
/// counts the handshakes that break off and blocks the address of the client after a hundred
/// (`max_connect_errors`), so one that was given up is brought to its end and closed, within
/// [`GRACE`]. And a connection of the driver that is dropped drains what it was reading in a task
/// that nothing bounds.
pub(crate) async fn open(opts: Opts) -> Opened {
    let (answer, opened) = oneshot::channel();
    tokio::spawn(run(opts, answer).in_current_span());
    // Without an answer the runtime is shutting down.
    opened.await.unwrap_or_else(|_| Err(Box::new("the runtime ended")))
}

async fn run(opts: Opts, mut answer: oneshot::Sender<Opened>) {
    // Nothing of ours lives in the future, so that a panic leaves nothing half done.
    let mut connecting = AssertUnwindSafe(Conn::new(opts)).catch_unwind();
    let opened = tokio::select! {
        opened = &mut connecting => answer.send(opened).err(),
        () = answer.closed() => match timeout(GRACE, &mut connecting).await {
            Ok(opened) => Some(opened),
            Err(_) => return discard(connecting),
        },
    };
    if let Some(Ok(Ok(connection))) = opened {
        // Whether the server hears it does not matter.
        drop(timeout(GRACE, connection.disconnect()).await);
    }
}

/// Drops what holds a connection where no runtime is, so that the driver cannot start the task that
/// would drain it.
fn discard(connecting: impl Send + 'static) {
    // Without a thread to be had it is dropped here, which is what the driver would have done.
    drop(std::thread::Builder::new().spawn(move || drop(connecting)));
}
