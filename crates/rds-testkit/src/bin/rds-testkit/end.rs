//! What ends the program, and lets it remove its folder.

use std::io::Read as _;
use std::time::Duration;

use tokio::sync::oneshot;

/// The signals that ask the program to end; caught from [`Signals::new`] on.
pub(crate) struct Signals {
    #[cfg(unix)]
    list: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [hangup, interrupt, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self { list: [hangup?, interrupt?, terminate?] })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn received(&mut self) {
        let [hangup, interrupt, terminate] = &mut self.list;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn received(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Where no handler can be installed, the signal ends the program.
            std::future::pending().await
        }
    }
}

/// Waits until a signal arrives, standard input closes (as it does when the parent dies), or the
/// time is over.
pub(crate) async fn wait(mut signals: Signals, limit: Duration) {
    tokio::select! {
        () = signals.received() => {}
        () = input_closed() => {}
        () = tokio::time::sleep(limit) => {}
    }
}

/// Waits for the end of standard input, on a detached thread.
async fn input_closed() {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while std::io::stdin().read(&mut buffer).is_ok_and(|count| count > 0) {}
        // The receiver is dropped if something else ended the program first.
        let _ = closed.send(());
    });
    let _ = wait.await;
}
