//! Cancel requests: finds the session of a key, and forwards the request to its server.

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
use crate::{
    descriptors,
    upstream::{Destination, Upstream},
};

/// The time for a server to accept a cancel request, so that a frozen one delays neither the client
/// nor the drain.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The length of the process id at the start of a key, which identifies the session to clients and
/// administrators.
const PROCESS_ID: usize = 4;

/// Attempts to find a free key; with a secret of four bytes the first one is free.
const MAX_TRIES: usize = 16;

/// The keys of open sessions, as their clients know them, each with the session's server.
///
/// A client sends a cancel request on a separate connection, with nothing but the key. With several
/// hosts, a reader endpoint or after a failover only this table finds the right server.
#[derive(Default)]
pub struct Cancels(Mutex<HashMap<Vec<u8>, Session>>);

/// The server of a session, and the key that the server knows.
#[derive(Clone)]
struct Session {
    server: Destination,
    key: Vec<u8>,
}

/// Removes the key from the table when the session ends.
pub(crate) struct Registered {
    cancels: Arc<Cancels>,
    key: Vec<u8>,
}

impl Cancels {
    /// Registers the server of a session. Where an open session has the same key, `key` gets
    /// another secret: servers choose keys independently, and a replaced server starts over.
    ///
    /// The process id stays. If no free key is found the session is not registered, so that
    /// a cancel request never reaches another session.
    pub(crate) fn register(
        self: &Arc<Self>,
        key: &mut [u8],
        server: Destination,
        random: impl Fn(&mut [u8]),
    ) -> Option<Registered> {
        let session = Session { server, key: key.to_vec() };
        let mut sessions = self.lock();
        for _ in 0..MAX_TRIES {
            if !sessions.contains_key(key) {
                sessions.insert(key.to_vec(), session);
                return Some(Registered { cancels: Arc::clone(self), key: key.to_vec() });
            }
            random(key.get_mut(PROCESS_ID..).unwrap_or_default());
        }
        None
    }

    /// Forwards a cancel request and waits until the server has accepted it; returns whether the
    /// key is known.
    ///
    /// The caller closes the client's connection afterwards: libpq takes that as the confirmation.
    pub(crate) async fn forward(&self, key: &[u8], upstream: &Upstream) -> Result<bool> {
        let Some(Session { server, key }) = self.lock().get(key).cloned() else { return Ok(false) };
        let forwarded = async {
            let progress = Progress::default();
            let encrypted = || upstream.encrypted(&server, &progress);
            let mut stream = descriptors::awaited(TIMEOUT / 2, encrypted).await?;
            let sent = async {
                stream.write_all(&cancel_request(&key)).await?;
                stream.flush().await?;
                // The server confirms by closing the connection.
                stream.read(&mut [0]).await
            };
            // Errors are ignored: many servers close without TLS's `close_notify`.
            drop(sent.await);
            Ok(true)
        };
        timeout(TIMEOUT, forwarded).await.unwrap_or_else(|_| {
            let message = format!("{} did not accept a cancel request within {TIMEOUT:?}", server.label);
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Session>> {
        // Single inserts and removals: a panic cannot leave the map inconsistent.
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

    fn at(port: u16) -> Destination {
        let address = ([127, 0, 0, 1], port).into();
        Destination::new(address, &ConnectRequest::new("127.0.0.1", port, "jane"))
    }

    #[test]
    fn sessions_with_the_same_key_are_distinguished() {
        let cancels = Arc::new(Cancels::default());
        let (mut first, mut second, mut third) = (*b"1234same", *b"1234same", *b"1234same");
        let secret = |bytes: &mut [u8]| bytes[0] += 1;

        let one = cancels.register(&mut first, at(1), secret).expect("is free");
        let two = cancels.register(&mut second, at(2), secret).expect("becomes free");
        let three = cancels.register(&mut third, at(1), secret).expect("becomes free");

        assert_eq!((&first, &second, &third), (b"1234same", b"1234tame", b"1234uame"));
        let known = |key: &[u8]| {
            let session = cancels.lock().get(key).cloned()?;
            Some((session.server.address.port(), session.key))
        };
        drop(one);
        assert_eq!(known(&first), None);
        assert_eq!(known(&second), Some((2, b"1234same".to_vec())));
        assert_eq!(known(&third), Some((1, b"1234same".to_vec())));
        drop((two, three));
        assert!(cancels.lock().is_empty());
    }

    #[test]
    fn key_without_a_secret_stays_the_first_sessions() {
        let cancels = Arc::new(Cancels::default());
        let _first = cancels.register(&mut b"1234".to_vec(), at(1), |_| {}).expect("is free");
        assert!(cancels.register(&mut b"1234".to_vec(), at(2), |_| {}).is_none());
        assert_eq!(cancels.lock()[&b"1234"[..]].server.address.port(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_server_does_not_delay_a_cancel() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = silent.local_addr().expect("has one");
        let tls = Tls::new(Roots::system()).expect("are read");
        let dialer = Dialer::new(Arc::new(SystemResolver), false);
        let upstream = Upstream {
            tls,
            dialer,
            sends_token: true,
            asks_sessions: false,
            goodbyes: Default::default(),
            finishing: Default::default(),
            resolver: Arc::new(SystemResolver),
        };
        let cancels = Arc::new(Cancels::default());
        let _key = cancels.register(&mut b"key".to_vec(), at(address.port()), |_| {});

        let ended = timeout(Duration::from_secs(3_600), cancels.forward(b"key", &upstream)).await;

        let error = ended.expect("ends").expect_err("was not passed on");
        assert_eq!(error.kind(), wrapper_core::ErrorKind::Timeout, "{error}");
    }
}
