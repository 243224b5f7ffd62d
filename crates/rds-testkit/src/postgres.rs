//! The PostgreSQL server.

mod builder;
mod connection;
mod login;
mod query;
mod scram;
mod statement;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

pub use self::builder::PostgresServerBuilder;
use crate::access_key::AccessKey;
use crate::authority::{Authority, Endpoint};
use crate::ca_file::CaFile;
use crate::fault::{Fault, Faults, PasswordMethod};
use crate::record::{Attempt, Outcome, PasswordDigest, Record};
use crate::tls::Ca;

/// A PostgreSQL server on 127.0.0.1 that takes IAM tokens for passwords as RDS does.
///
/// It lives in the tokio runtime that started it and stops, with all its connections, when it is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::PostgresServer;
///
/// let server = PostgresServer::builder()
///     .host("orders.abc123.eu-central-1.rds.amazonaws.com")
///     .region("eu-central-1")
///     .user("shop")
///     .start()
///     .await?;
/// assert_eq!(server.user(), "shop");
/// assert_eq!(server.accepted(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    state: Arc<State>,
    addr: SocketAddr,
    user: String,
    access_key: AccessKey,
    ca_file: CaFile,
    /// Bumped to cut all connections; its end stops the server.
    epoch: watch::Sender<u64>,
}

/// What all connections of a server share.
#[derive(Debug)]
struct State {
    endpoint: Endpoint,
    databases: Vec<String>,
    password_method: PasswordMethod,
    read_only: AtomicBool,
    authority: Authority,
    record: Arc<Record>,
    faults: Faults,
    ca: Ca,
    tls: Arc<ServerConfig>,
}

impl PostgresServer {
    /// Starts to describe a server; every setting has a default.
    pub fn builder() -> PostgresServerBuilder {
        PostgresServerBuilder::default()
    }

    /// Returns the address to dial.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the port to dial; tokens are signed for it too unless the builder said otherwise.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Returns the port that tokens must be signed for.
    #[must_use]
    pub fn signed_port(&self) -> u16 {
        self.state.endpoint.port
    }

    /// Returns the first name of the server: the one to sign for and to check the certificate against.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.state.endpoint.hosts[0]
    }

    /// Returns the region that tokens must be signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.state.endpoint.region
    }

    /// Returns the first user that is granted `rds_iam`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the authority whose certificate clients must trust.
    #[must_use]
    pub fn ca(&self) -> &Ca {
        &self.state.ca
    }

    /// Returns the certificate that clients must trust, in PEM form.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.state.ca.pem()
    }

    /// Returns the same certificate as a file, which is removed with the server.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// Returns the first access key: the credentials for the program under test.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// Returns the rules, to be changed while the server runs.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.state.authority
    }

    /// Moves the server's clock ahead; back goes [`Authority::rewind`].
    pub fn advance(&self, by: Duration) {
        self.state.authority.advance(by);
    }

    /// Makes the server a reader, which answers `SHOW transaction_read_only` with `on`, or a writer again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.read_only.store(read_only, Ordering::Relaxed);
    }

    /// Injects a fault that happens once, the next time a connection comes to its point.
    ///
    /// Of several faults for the same point the oldest goes first.
    pub fn inject(&self, fault: Fault) {
        self.inject_times(1, fault);
    }

    /// Injects a fault that happens the next `times` times.
    pub fn inject_times(&self, times: usize, fault: Fault) {
        self.state.faults.add(fault, Some(times));
    }

    /// Injects a fault that happens every time until [`clear_faults`](Self::clear_faults).
    pub fn inject_always(&self, fault: Fault) {
        self.state.faults.add(fault, None);
    }

    /// Takes all faults away; connections that hang at a gate stay there.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Cuts all open connections, as a crash or a failover does; new ones are served.
    pub fn drop_connections(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Returns the attempts that have ended, in the order in which they did.
    ///
    /// An attempt is there before the client learns its outcome.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state.record.attempts()
    }

    /// Waits until at least `count` attempts have ended and returns all of them.
    ///
    /// Needed where the client knows first, as with a TLS handshake that the client broke off.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for_attempts(&self, count: usize) -> Vec<Attempt> {
        self.state.record.reached(count).await
    }

    /// Counts the accepted logins.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.state.record.count(|outcome| outcome == Outcome::Accepted)
    }

    /// Counts the refused logins.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state.record.count(|outcome| matches!(outcome, Outcome::Refused(_)))
    }

    /// Returns the digest under which a password stands in the attempts of this server.
    #[must_use]
    pub fn digest(&self, password: &str) -> PasswordDigest {
        self.state.record.digest(password.as_bytes())
    }
}

/// Accepts connections until the server is dropped.
async fn listen(listener: TcpListener, state: Arc<State>, mut epoch: watch::Receiver<u64>) {
    loop {
        tokio::select! {
            changed = epoch.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (state, mut epoch) = (state.clone(), epoch.clone());
                // A cut that this loop has not seen yet was made before this connection.
                epoch.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        // A connection that breaks is a matter of its client.
                        _ = connection::serve(stream, &state) => {}
                        _ = epoch.changed() => {}
                    }
                });
            }
        }
    }
}
