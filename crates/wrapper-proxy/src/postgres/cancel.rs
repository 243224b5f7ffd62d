//! Cancel requests: which server a key belongs to, and passing one on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wrapper_core::{Error, ErrorKind, Result, adapter::Progress};

use super::startup::cancel_request;
use crate::upstream::{Destination, Upstream};

/// The time for a server to take a cancel request: a frozen one holds neither client nor drain.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The keys of the sessions that live, each with the server that serves it.
///
/// A cancel request comes on a connection of its own and carries nothing but the key. With several
/// hosts, a reader endpoint or after a failover only this table knows where it belongs.
#[derive(Default)]
pub(crate) struct Cancels(Mutex<HashMap<Vec<u8>, Destination>>);

/// Takes the key out of the table when the session ends.
pub(crate) struct Registered {
    cancels: Arc<Cancels>,
    key: Vec<u8>,
}

impl Cancels {
    /// Remembers the server of a session.
    pub(crate) fn register(self: &Arc<Self>, key: Vec<u8>, server: Destination) -> Registered {
        self.lock().insert(key.clone(), server);
        Registered { cancels: Arc::clone(self), key }
    }

    /// Passes a cancel request on and waits until the server has taken it; returns whether the key
    /// is known.
    ///
    /// The caller closes the client's connection afterwards: libpq waits for that to know that the
    /// server has it.
    pub(crate) async fn forward(&self, key: &[u8], upstream: &Upstream) -> Result<bool> {
        let Some(server) = self.lock().get(key).cloned() else { return Ok(false) };
        let forwarded = async {
            let mut stream = upstream.encrypted(&server, &Progress::default()).await?;
            let sent = async {
                stream.write_all(&cancel_request(key)).await?;
                stream.flush().await?;
                // The server answers by closing.
                stream.read(&mut [0]).await
            };
            // How it closes does not matter: many servers send no TLS farewell.
            drop(sent.await);
            Ok(true)
        };
        timeout(TIMEOUT, forwarded).await.unwrap_or_else(|_| {
            let message = format!("{} did not take a cancel request within {TIMEOUT:?}", server.label);
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Destination>> {
        // Single inserts and removals: no panic leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpListener, time::timeout};
    use wrapper_adapter::{Dialer, Roots, SystemResolver};
    use wrapper_core::ConnectRequest;

    use super::*;
    use crate::tls::Tls;

    #[tokio::test(start_paused = true)]
    async fn server_that_says_nothing_does_not_hold_a_cancel() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = silent.local_addr().expect("has one");
        let tls = Tls::new(Roots::system()).expect("are read");
        let dialer = Dialer::new(Arc::new(SystemResolver), false);
        let upstream = Upstream { tls, dialer, sends_token: true };
        let cancels = Arc::new(Cancels::default());
        let request = ConnectRequest::new("127.0.0.1", address.port(), "jane");
        let _key = cancels.register(b"key".to_vec(), Destination::new(address, &request));

        let ended = timeout(Duration::from_secs(3_600), cancels.forward(b"key", &upstream)).await;

        let error = ended.expect("ends").expect_err("was not passed on");
        assert_eq!(error.kind(), wrapper_core::ErrorKind::Timeout, "{error}");
    }
}
