//! The accepting task and its control by a test: cut, freeze, stop, start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Opened, Shared};
use crate::accept::accept;
use crate::access_key::AccessKey;
use crate::ca_file::CaFile;

/// A server that listens; it ends, with all its connections, when this is dropped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) user: String,
    pub(crate) access_key: AccessKey,
    pub(crate) ca_file: CaFile,
    control: watch::Sender<Control>,
    listening: Mutex<Option<JoinHandle<()>>>,
    spawn: Box<dyn Fn(TcpListener) -> JoinHandle<()> + Send + Sync>,
}

/// The control state of all tasks of a server; dropping its sender stops them.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    /// Raised to cut all connections.
    epoch: u64,
    frozen: bool,
}

impl Running {
    /// Starts to listen, with a state of the protocol around what was opened.
    pub(crate) fn start<S, F>(
        opened: Opened,
        state: impl FnOnce(Shared) -> S,
        serve: fn(TcpStream, Arc<S>) -> F,
    ) -> (Arc<S>, Self)
    where
        S: Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let Opened { addr, shared, listener, user, access_key, ca_file } = opened;
        let state = Arc::new(state(shared));
        let (control, receiver) = watch::channel(Control::default());
        let served = state.clone();
        let spawn =
            Box::new(move |listener| tokio::spawn(listen(listener, served.clone(), receiver.clone(), serve)));
        let listening = Mutex::new(Some(spawn(listener)));
        (state, Self { addr, user, access_key, ca_file, control, listening, spawn })
    }

    /// Cuts all connections; new ones are served.
    pub(crate) fn cut(&self) {
        self.control.send_modify(|control| control.epoch += 1);
    }

    /// Freezes or resumes, like a stopped and continued process: the system still accepts
    /// connections.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.control.send_modify(|control| control.frozen = frozen);
    }

    /// Closes the port, so that connects are refused, and cuts all connections.
    pub(crate) async fn stop(&self) {
        // The guard ends with this statement; it must not be held across the await below.
        let task = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // The task has ended and dropped the listener, even if it panicked.
            let _ = task.await;
        }
        // The port first: a connection that was accepted after the cut would survive it.
        self.cut();
    }

    /// Listens again after [`stop`](Self::stop), on the same address.
    pub(crate) async fn resume(&self) -> io::Result<()> {
        self.freeze(false);
        let is_stopped = self.listening.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if is_stopped {
            let task = (self.spawn)(TcpListener::bind(self.addr).await?);
            *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Ok(())
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .field("user", &self.user)
            .field("access_key", &self.access_key)
            .field("control", &self.control.borrow())
            .finish_non_exhaustive()
    }
}

/// Accepts connections until the server is dropped.
async fn listen<S, F>(
    listener: TcpListener,
    state: Arc<S>,
    mut control: watch::Receiver<Control>,
    serve: fn(TcpStream, Arc<S>) -> F,
) where
    S: Send + Sync + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        // Nothing is accepted while frozen; the system's backlog takes the clients, as for a
        // stopped process.
        if control.wait_for(|control| !control.frozen).await.is_err() {
            return;
        }
        tokio::select! {
            changed = control.changed() => if changed.is_err() { return },
            stream = accept(&listener) => {
                // An earlier cut does not apply to this connection.
                let epoch = control.borrow().epoch;
                tokio::spawn(obey(serve(stream, state.clone()), epoch, control.clone()));
            }
        }
    }
}

/// Drives a connection until it is stopped. A frozen one is not polled, so its state stays as it
/// is.
async fn obey(
    connection: impl Future<Output = io::Result<()>>,
    epoch: u64,
    mut control: watch::Receiver<Control>,
) {
    let mut connection = pin!(connection);
    loop {
        match control.wait_for(|control| control.epoch != epoch || !control.frozen).await {
            Ok(control) if control.epoch == epoch => {}
            _ => return,
        }
        tokio::select! {
            // The control first: a cut or a freeze wins over an answer that is ready.
            biased;
            changed = control.changed() => if changed.is_err() { return },
            // A broken connection is the client's concern.
            _ = &mut connection => return,
        }
    }
}
