//! The proxy: accepts clients, and ends in order.

use std::{fmt, io, mem, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::Access,
    descriptors,
    limits::{Handshakes, Limits},
    listen::{Listen, Listener, LocalAddress},
    stats::Stats,
    target::{Serve, Target},
    upstream::FAREWELL,
};

/// The connections to servers that are ended in order for displaced clients at once.
const MAX_FAREWELLS: usize = 64;

/// The time for farewells after [`Handle::cut`].
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The limits, rules and permits that the clients of all targets share.
pub struct ProxyState {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) handshakes: Handshakes,
    pub(crate) sessions: Semaphore,
    /// Bounds the connections to servers that outlive a client that left before the greeting.
    pub(crate) farewells: Semaphore,
    /// Cancelled to end every session at once.
    pub(crate) cut: CancellationToken,
}

/// Listens for clients, and serves each with a session at its target.
///
/// Create it, [`listen`](Self::listen) for every target, take the [`handle`](Self::handle), and
/// [`run`](Self::run) it.
pub struct Proxy {
    listeners: Vec<(Listener, Arc<dyn Serve>)>,
    state: Arc<ProxyState>,
    clients: TaskTracker,
    handle: Handle,
}

/// Ends a running proxy and reads its counters; clones control the same proxy.
#[derive(Clone)]
pub struct Handle {
    drain: CancellationToken,
    cut: CancellationToken,
    targets: Arc<[Arc<dyn Serve>]>,
}

impl Proxy {
    /// Creates a proxy without listeners.
    pub fn new(access: Access, limits: Limits) -> Self {
        let cut = CancellationToken::new();
        let state = ProxyState {
            access,
            limits,
            handshakes: Handshakes::default(),
            sessions: Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)),
            farewells: Semaphore::new(MAX_FAREWELLS),
            cut: cut.child_token(),
        };
        let handle = Handle { drain: CancellationToken::new(), cut, targets: Arc::new([]) };
        Self { listeners: Vec::new(), state: Arc::new(state), clients: TaskTracker::new(), handle }
    }

    /// Listens for the clients of a target, and returns where they connect.
    ///
    /// # Errors
    ///
    /// An error that names the address or folder and the reason.
    pub async fn listen(&mut self, listen: &Listen, target: impl Into<Target>) -> io::Result<LocalAddress> {
        let Target(target) = target.into();
        let listener = Listener::bind(listen, &target.socket_file(), &self.state.access).await?;
        let place = listener.address().clone();
        self.listeners.push((listener, Arc::clone(&target)));
        // A target that listens at several addresses is counted once.
        if !self.handle.targets.iter().any(|known| Arc::ptr_eq(known, &target)) {
            self.handle.targets = self.handle.targets.iter().cloned().chain([target]).collect();
        }
        Ok(place)
    }

    /// Returns the handle that ends the proxy.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves clients until the [`Handle`] ends it: then stops accepting, waits for the sessions,
    /// and cuts those that are left after `drain_timeout`.
    ///
    /// Connections to servers that no client has are ended in order, since MySQL servers count
    /// others. A server that does not answer delays the end by 6 s at most, and by 1 s at most from
    /// [`Handle::cut`] on; only what is left then goes on in tasks of the runtime.
    ///
    /// The targets are closed as well: another proxy needs targets of its own.
    pub async fn run(self, drain_timeout: Duration) {
        let Self { listeners, state, clients, handle } = self;
        for (listener, target) in listeners {
            let accept = accept(listener, target, Arc::clone(&state), clients.clone());
            let drain = handle.drain.clone();
            clients.spawn(async move { drain.run_until_cancelled(accept).await });
        }
        handle.drain.cancelled().await;
        // The accept loops are tracked as well and end here; a closed tracker is done with its last
        // client.
        clients.close();
        tokio::select! {
            () = clients.wait() => {}
            () = sleep(drain_timeout) => tracing::warn!(sessions = clients.len(),
                "sessions outlived the drain"),
            () = handle.cut.cancelled() => {}
        }
        state.cut.cancel();
        let ended = async {
            // Side by side, because all share one limit.
            let closed = join_all(handle.targets.iter().map(|target| target.close()));
            tokio::join!(clients.wait(), closed);
            // Only clients and the tasks of plugins begin goodbyes.
            for target in &*handle.targets {
                target.goodbyes().close();
                target.goodbyes().wait().await;
            }
        };
        let impatient = async {
            handle.cut.cancelled().await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = ended => {}
            // What each client leaves has one limit, which has to pass first: a second for what
            // precedes it.
            () = sleep(FAREWELL + LAST_WORDS) => {}
            () = impatient => {}
        }
    }
}

/// Accepts clients without end, and serves each in a task of its own.
async fn accept(listener: Listener, target: Arc<dyn Serve>, state: Arc<ProxyState>, clients: TaskTracker) {
    let mut is_failing = false;
    loop {
        let accepted = listener.accept().await;
        let has_failed = mem::replace(&mut is_failing, accepted.is_err());
        match accepted {
            Ok((_, peer)) if !state.access.admits(peer) => {
                tracing::warn!(?peer, "client refused: its account may not use the socket");
            }
            Ok((client, peer)) => {
                let (target, state) = (Arc::clone(&target), Arc::clone(&state));
                clients.spawn(async move { target.serve(client, peer, &state).await });
            }
            Err(error) => {
                // Usually no descriptor is free. The error repeats at once, since the client stays
                // in the listener's queue, so one warning and a pause.
                if !has_failed {
                    tracing::warn!(%error, "clients cannot be accepted for now");
                }
                sleep(descriptors::PAUSE).await;
            }
        }
    }
}

impl Handle {
    /// Stops accepting clients, and lets the sessions end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends every session at once, and the proxy within a second.
    pub fn cut(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// Returns whether the proxy accepts clients.
    pub fn is_accepting(&self) -> bool {
        !self.drain.is_cancelled()
    }

    /// Returns the counts of each target, in the order in which they first listened.
    pub fn stats(&self) -> Vec<Stats> {
        self.targets.iter().map(|target| target.stats()).collect()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_accepting", &self.is_accepting()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.listeners.iter().map(|(listener, _)| listener.address()).collect();
        f.debug_struct("Proxy").field("places", &places).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::{
        sync::oneshot,
        time::{Instant, timeout},
    };
    use wrapper_core::Registry;

    use super::*;
    use crate::{listen::TcpPort, postgres::PostgresTarget};

    /// Starts a proxy with a farewell under way, which ends when the sender is dropped.
    async fn with_a_farewell() -> (Proxy, oneshot::Sender<()>) {
        let target = PostgresTarget::from_url("postgres://jane:secret@db.example/app", Registry::new());
        let target = target.expect("is right");
        let (sender, said) = oneshot::channel::<()>();
        target.upstream.goodbyes.spawn(said);
        let mut proxy = Proxy::new(Access::without_password(), Limits::default());
        proxy.listen(&Listen::Tcp(TcpPort::loopback(0)), target).await.expect("listens");
        (proxy, sender)
    }

    #[tokio::test(start_paused = true)]
    async fn drained_proxy_ends_after_the_last_farewell() {
        let (proxy, farewell) = with_a_farewell().await;
        proxy.handle().drain();
        let mut running = pin!(proxy.run(Duration::from_secs(30)));

        assert!(timeout(FAREWELL, &mut running).await.is_err());

        let begun = Instant::now();
        drop(farewell);
        running.await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn farewell_without_an_end_delays_that_of_the_proxy_for_a_limited_time() {
        for (is_cut, limit) in [(false, FAREWELL + LAST_WORDS), (true, LAST_WORDS)] {
            let (proxy, _farewell) = with_a_farewell().await;
            let (handle, begun) = (proxy.handle(), Instant::now());
            if is_cut {
                handle.cut()
            } else {
                handle.drain()
            }

            proxy.run(Duration::from_secs(30)).await;

            assert_eq!(begun.elapsed(), limit, "cut: {is_cut}");
        }
    }
}
