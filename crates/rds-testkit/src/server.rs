//! What the servers of both protocols share: their description, the state behind them, and the loop that accepts connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

use crate::access_key::AccessKey;
use crate::authority::{Account, Authority, Endpoint, Rules};
use crate::ca_file::CaFile;
use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use crate::fault::{Fault, Faults};
use crate::record::Record;
use crate::tls::{Ca, Validity};

const DEFAULT_HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const DEFAULT_REGION: &str = "us-east-2";
const DEFAULT_USER: &str = "jane";

/// A server to start.
#[derive(Default)]
pub(crate) struct Description {
    pub(crate) hosts: Vec<String>,
    pub(crate) region: Option<String>,
    pub(crate) signed_port: Option<u16>,
    pub(crate) users: Vec<String>,
    pub(crate) password_users: Vec<(String, String)>,
    pub(crate) databases: Vec<String>,
    pub(crate) access_keys: Vec<AccessKey>,
    pub(crate) ca: Option<Ca>,
    pub(crate) clock: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
    pub(crate) read_only: bool,
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) endpoint: Endpoint,
    pub(crate) databases: Vec<String>,
    pub(crate) read_only: AtomicBool,
    pub(crate) authority: Authority,
    pub(crate) record: Arc<Record>,
    pub(crate) faults: Faults,
    pub(crate) ca: Ca,
    tls: Arc<ServerConfig>,
}

/// A server that listens; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) user: String,
    pub(crate) access_key: AccessKey,
    pub(crate) ca_file: CaFile,
    /// Bumped to cut all connections; its end stops the server.
    pub(crate) epoch: watch::Sender<u64>,
}

impl Description {
    /// Fills in the defaults and takes a free port of 127.0.0.1.
    pub(crate) async fn open(mut self) -> Result<(TcpListener, Running, Shared)> {
        default(&mut self.hosts, DEFAULT_HOST);
        default(&mut self.users, DEFAULT_USER);
        let region = self.region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let named = [("host", &self.hosts), ("user", &self.users), ("region", &vec![region.clone()])];
        if let Some((name, _)) = named.iter().find(|(_, values)| values.iter().any(String::is_empty)) {
            return Err(Error::configuration(format!("empty {name}")));
        }
        if self.access_keys.is_empty() {
            let key =
                AccessKey::generate().map_err(|error| Error::io("no access key could be made", error))?;
            self.access_keys.push(key);
        }
        let access_key = self.access_keys[0].clone();
        let ca = self.ca.map_or_else(Ca::generate, Ok)?;
        let tls = ca.server_config(&self.hosts, Validity::Current)?;
        let ca_file =
            CaFile::write(ca.pem()).map_err(|error| Error::io("no file for the certificate", error))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| Error::io("no port on 127.0.0.1", error))?;
        let addr = listener.local_addr().map_err(|error| Error::io("no port on 127.0.0.1", error))?;

        let user = self.users[0].clone();
        let iam = self.users.into_iter().map(|user| (user, Account::Iam));
        let password = self.password_users.into_iter().map(|(user, word)| (user, Account::Password(word)));
        let keys = self.access_keys.into_iter().map(|key| (key.access_key_id().to_owned(), key));
        let rules = Rules { keys: keys.collect(), users: iam.chain(password).collect() };
        let record = Record::new().map_err(|error| Error::io("no random bytes", error))?;
        let clock = self.clock.map_or_else(|| Clock::new(clock::system), Clock::new);
        let shared = Shared {
            endpoint: Endpoint { hosts: self.hosts, port: self.signed_port.unwrap_or(addr.port()), region },
            databases: self.databases,
            read_only: AtomicBool::new(self.read_only),
            authority: Authority::new(rules, clock),
            record: Arc::new(record),
            faults: Faults::default(),
            ca,
            tls,
        };
        Ok((listener, Running { addr, user, access_key, ca_file, epoch: watch::Sender::new(0) }, shared))
    }
}

impl Shared {
    pub(crate) fn refuses_tls(&self) -> bool {
        self.faults.take(|fault| matches!(fault, Fault::NoTls).then_some(())).is_some()
    }

    /// Takes the certificate that a fault asks for, else the server's own.
    pub(crate) fn tls_config(&self) -> io::Result<Arc<ServerConfig>> {
        let fault = self.faults.take(|fault| {
            let is_certificate = matches!(
                fault,
                Fault::CertificateExpired | Fault::CertificateFrom(_) | Fault::CertificateFor(_)
            );
            is_certificate.then(|| fault.clone())
        });
        let hosts = &self.endpoint.hosts;
        match fault {
            Some(Fault::CertificateExpired) => self.ca.server_config(hosts, Validity::Expired),
            Some(Fault::CertificateFrom(ca)) => ca.server_config(hosts, Validity::Current),
            Some(Fault::CertificateFor(name)) => self.ca.server_config(&[name], Validity::Current),
            _ => Ok(self.tls.clone()),
        }
        .map_err(io::Error::other)
    }
}

/// Accepts connections until the server is dropped.
pub(crate) async fn listen<S, F>(
    listener: TcpListener,
    state: Arc<S>,
    mut epoch: watch::Receiver<u64>,
    serve: fn(TcpStream, Arc<S>) -> F,
) where
    S: Send + Sync + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        tokio::select! {
            changed = epoch.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (connection, mut epoch) = (serve(stream, state.clone()), epoch.clone());
                // A cut that this loop has not seen yet was made before this connection.
                epoch.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        // A connection that breaks is a matter of its client.
                        _ = connection => {}
                        _ = epoch.changed() => {}
                    }
                });
            }
        }
    }
}

fn default(values: &mut Vec<String>, value: &str) {
    if values.is_empty() {
        values.push(value.to_owned());
    }
}

/// The settings of a builder with the field `description` that do not depend on the protocol.
macro_rules! builder_methods {
    () => {
        /// Adds a name that the server answers to: tokens are signed for it and the certificate carries it.
        ///
        /// Repeatable; the first is the server's `host()`. Default `db.abc123.us-east-2.rds.amazonaws.com`.
        pub fn host(mut self, host: impl Into<String>) -> Self {
            self.description.hosts.push(host.into());
            self
        }

        /// Sets the region that tokens must be signed for; default `us-east-2`, whatever the host is named.
        pub fn region(mut self, region: impl Into<String>) -> Self {
            self.description.region = Some(region.into());
            self
        }

        /// Sets the port that tokens must be signed for; default the one that the server listens on.
        pub fn signed_port(mut self, port: u16) -> Self {
            self.description.signed_port = Some(port);
            self
        }

        /// Adds a key whose tokens are valid; repeatable, the first is the server's `access_key()`.
        ///
        /// Default: one static key made for the run, which may connect as every user.
        pub fn access_key(mut self, key: $crate::AccessKey) -> Self {
            self.description.access_keys.push(key);
            self
        }

        /// Lets this authority issue the certificate, so that several servers share one; default a new one.
        pub fn ca(mut self, ca: &$crate::Ca) -> Self {
            self.description.ca = Some(ca.clone());
            self
        }

        /// Sets the source of the time by which tokens are judged; default the system's clock.
        pub fn clock(mut self, clock: impl Fn() -> std::time::SystemTime + Send + Sync + 'static) -> Self {
            self.description.clock = Some(Box::new(clock));
            self
        }
    };
}

/// The methods of a server with the fields `state` and `running` that do not depend on the protocol.
macro_rules! server_methods {
    () => {
        /// Returns the address to dial.
        #[must_use]
        pub fn addr(&self) -> std::net::SocketAddr {
            self.running.addr
        }

        /// Returns the port to dial; tokens are signed for it too unless the builder said otherwise.
        #[must_use]
        pub fn port(&self) -> u16 {
            self.running.addr.port()
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

        /// Returns the first user that logs in by token.
        #[must_use]
        pub fn user(&self) -> &str {
            &self.running.user
        }

        /// Returns the authority whose certificate clients must trust.
        #[must_use]
        pub fn ca(&self) -> &$crate::Ca {
            &self.state.ca
        }

        /// Returns the certificate that clients must trust, in PEM form.
        #[must_use]
        pub fn ca_pem(&self) -> &str {
            self.state.ca.pem()
        }

        /// Returns the same certificate as a file, which is removed with the server.
        #[must_use]
        pub fn ca_file(&self) -> &std::path::Path {
            self.running.ca_file.path()
        }

        /// Returns the first access key: the credentials for the program under test.
        #[must_use]
        pub fn access_key(&self) -> &$crate::AccessKey {
            &self.running.access_key
        }

        /// Returns the rules, to be changed while the server runs.
        #[must_use]
        pub fn authority(&self) -> &$crate::Authority {
            &self.state.authority
        }

        /// Moves the server's clock ahead; back goes [`Authority::rewind`](crate::Authority::rewind).
        pub fn advance(&self, by: std::time::Duration) {
            self.state.authority.advance(by);
        }

        /// Injects a fault that happens once, the next time a connection comes to its point.
        ///
        /// Of several faults for the same point the oldest goes first.
        pub fn inject(&self, fault: $crate::Fault) {
            self.inject_times(1, fault);
        }

        /// Injects a fault that happens the next `times` times.
        pub fn inject_times(&self, times: usize, fault: $crate::Fault) {
            self.state.faults.add(fault, Some(times));
        }

        /// Injects a fault that happens every time until [`clear_faults`](Self::clear_faults).
        pub fn inject_always(&self, fault: $crate::Fault) {
            self.state.faults.add(fault, None);
        }

        /// Cuts all open connections, as a crash or a failover does; new ones are served.
        pub fn drop_connections(&self) {
            self.running.epoch.send_modify(|epoch| *epoch += 1);
        }

        /// Returns the attempts that have ended, in the order in which they did.
        ///
        /// An attempt is there before the client learns its outcome.
        #[must_use]
        pub fn attempts(&self) -> Vec<$crate::Attempt> {
            self.state.record.attempts()
        }

        /// Waits until at least `count` attempts have ended and returns all of them.
        ///
        /// Needed where the client knows first, as with a TLS handshake that the client broke off.
        ///
        /// # Cancel safety
        ///
        /// Dropping the future loses nothing.
        pub async fn wait_for_attempts(&self, count: usize) -> Vec<$crate::Attempt> {
            self.state.record.reached(count).await
        }

        /// Counts the accepted logins.
        #[must_use]
        pub fn accepted(&self) -> usize {
            self.state.record.count(|outcome| outcome == $crate::Outcome::Accepted)
        }

        /// Counts the refused logins.
        #[must_use]
        pub fn refused(&self) -> usize {
            self.state.record.count(|outcome| matches!(outcome, $crate::Outcome::Refused(_)))
        }

        /// Returns the digest under which a password stands in the attempts of this server.
        #[must_use]
        pub fn digest(&self, password: &str) -> $crate::PasswordDigest {
            self.state.record.digest(password.as_bytes())
        }
    };
}

pub(crate) use {builder_methods, server_methods};
