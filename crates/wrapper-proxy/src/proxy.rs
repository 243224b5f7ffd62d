//! The proxy: listeners, clients, and the end.

use std::{fmt, io, mem, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::Access,
    descriptors,
    limits::{Handshakes, Limits},
    listen::{Listen, Listener, Place},
    stats::Stats,
    target::{Serve, Target},
};

/// What the clients of all targets share.
pub struct Room {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) handshakes: Handshakes,
    pub(crate) sessions: Semaphore,
    /// Ends every session at once.
    pub(crate) cut: CancellationToken,
}

/// Listens for clients and serves them.
pub struct Proxy {
    listeners: Vec<(Listener, Arc<dyn Serve>)>,
    room: Arc<Room>,
    clients: TaskTracker,
    handle: Handle,
}

/// Ends a proxy, and tells how it is; clones are of the same one.
#[derive(Clone)]
pub struct Handle {
    drain: CancellationToken,
    cut: CancellationToken,
    targets: Arc<[Arc<dyn Serve>]>,
}

impl Proxy {
    /// Creates a proxy that listens nowhere yet.
    pub fn new(access: Access, limits: Limits) -> Self {
        let cut = CancellationToken::new();
        let room = Room {
            access,
            limits,
            handshakes: Handshakes::default(),
            sessions: Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)),
            cut: cut.clone(),
        };
        let handle = Handle { drain: CancellationToken::new(), cut, targets: Arc::new([]) };
        Self { listeners: Vec::new(), room: Arc::new(room), clients: TaskTracker::new(), handle }
    }

    /// Listens for the clients of a target, and says where.
    ///
    /// # Errors
    ///
    /// An error that names the address or folder, and what is wrong with it.
    pub async fn listen(&mut self, listen: &Listen, target: impl Into<Target>) -> io::Result<Place> {
        let Target(target) = target.into();
        let listener = Listener::bind(listen, &target.socket_file(), &self.room.access).await?;
        let place = listener.place().clone();
        self.listeners.push((listener, Arc::clone(&target)));
        // One that listens at several places is counted once.
        if !self.handle.targets.iter().any(|known| Arc::ptr_eq(known, &target)) {
            self.handle.targets = self.handle.targets.iter().cloned().chain([target]).collect();
        }
        Ok(place)
    }

    /// Returns what ends the proxy.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until the [`Handle`] ends it: takes no more clients then, waits for the sessions, and
    /// cuts what is left after
    /// `drain_timeout`.
    pub async fn run(self, drain_timeout: Duration) {
        let Self { listeners, room, clients, handle } = self;
        for (listener, target) in listeners {
            let accept = accept(listener, target, Arc::clone(&room), clients.clone());
            let drain = handle.drain.clone();
            clients.spawn(async move { drain.run_until_cancelled(accept).await });
        }
        handle.drain.cancelled().await;
        clients.close();
        tokio::select! {
            () = clients.wait() => return,
            () = sleep(drain_timeout) => tracing::warn!(sessions = clients.len(),
                "sessions outlived the drain"),
            () = handle.cut.cancelled() => {}
        }
        handle.cut.cancel();
        clients.wait().await;
    }
}

/// Takes clients for ever; what a client asks for happens in a task of its own.
async fn accept(listener: Listener, target: Arc<dyn Serve>, room: Arc<Room>, clients: TaskTracker) {
    let mut is_failing = false;
    loop {
        let accepted = listener.accept().await;
        let has_failed = mem::replace(&mut is_failing, accepted.is_err());
        match accepted {
            Ok((_, peer)) if !room.access.admits(peer) => {
                tracing::warn!(?peer, "an account that may not use the proxy was turned away");
            }
            Ok((client, peer)) => {
                let (target, room) = (Arc::clone(&target), Arc::clone(&room));
                clients.spawn(async move { target.serve(client, peer, &room).await });
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
    /// Takes no more clients, and lets the sessions end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends every session at once.
    pub fn cut(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// Returns whether the proxy takes clients.
    pub fn is_accepting(&self) -> bool {
        !self.drain.is_cancelled()
    }

    /// Returns what was counted, target by target in the order in which they first listened.
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
        let places: Vec<_> = self.listeners.iter().map(|(listener, _)| listener.place()).collect();
        f.debug_struct("Proxy").field("places", &places).finish_non_exhaustive()
    }
}
