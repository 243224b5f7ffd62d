//! The description of a server to start.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{PostgresServer, State, listen};
use crate::access_key::AccessKey;
use crate::authority::{Account, Authority, Endpoint, Rules};
use crate::ca_file::CaFile;
use crate::clock::{self, Clock};
use crate::error::{Error, Result};
use crate::fault::{Faults, PasswordMethod};
use crate::record::Record;
use crate::tls::{Ca, Validity};

const DEFAULT_HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const DEFAULT_REGION: &str = "us-east-2";
const DEFAULT_USER: &str = "jane";

/// Describes a [`PostgresServer`]; see [`PostgresServer::builder`].
#[derive(Default)]
#[must_use = "a server runs once it is started"]
pub struct PostgresServerBuilder {
    hosts: Vec<String>,
    region: Option<String>,
    signed_port: Option<u16>,
    users: Vec<String>,
    password_users: Vec<(String, String)>,
    password_method: PasswordMethod,
    databases: Vec<String>,
    access_keys: Vec<AccessKey>,
    ca: Option<Ca>,
    clock: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
    read_only: bool,
}

impl PostgresServerBuilder {
    /// Adds a name that the server answers to: tokens are signed for it and the certificate carries it.
    ///
    /// Repeatable; the first is [`PostgresServer::host`]. Default `db.abc123.us-east-2.rds.amazonaws.com`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Sets the region that tokens must be signed for; default `us-east-2`, whatever the host is named.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the port that tokens must be signed for; default the one that the server listens on.
    pub fn signed_port(mut self, port: u16) -> Self {
        self.signed_port = Some(port);
        self
    }

    /// Adds a user that is granted `rds_iam`; repeatable, the first is [`PostgresServer::user`]. Default `jane`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.users.push(user.into());
        self
    }

    /// Adds a user with a password and without `rds_iam`; repeatable.
    pub fn password_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.password_users.push((user.into(), password.into()));
        self
    }

    /// Sets how users without `rds_iam`, known or not, are asked for a password; default in clear text.
    ///
    /// RDS asks by SCRAM-SHA-256 or MD5: then the server never sees what the client would have sent.
    pub fn password_method(mut self, method: PasswordMethod) -> Self {
        self.password_method = method;
        self
    }

    /// Names a database; repeatable. Once one is named, others have no rule in `pg_hba.conf`. Default: all have.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.databases.push(database.into());
        self
    }

    /// Adds a key whose tokens are valid; repeatable, the first is [`PostgresServer::access_key`].
    ///
    /// Default: one static key made for the run, which may connect as every user.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.access_keys.push(key);
        self
    }

    /// Lets this authority issue the certificate, so that several servers share one; default a new one.
    pub fn ca(mut self, ca: &Ca) -> Self {
        self.ca = Some(ca.clone());
        self
    }

    /// Sets the source of the time by which tokens are judged; default the system's clock.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Makes the server a reader, which answers `SHOW transaction_read_only` with `on`; default a writer.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Starts the server on a free port of 127.0.0.1, in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails for an empty host, user or region, for a host that fits into no certificate, and if the system
    /// gives no port, no file in the folder for temporary files, or no random bytes.
    pub async fn start(mut self) -> Result<PostgresServer> {
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
        let rules = Rules { keys: keys.collect(), users: iam.chain(password).collect::<HashMap<_, _>>() };
        let record = Record::new().map_err(|error| Error::io("no random bytes", error))?;
        let state = State {
            endpoint: Endpoint { hosts: self.hosts, port: self.signed_port.unwrap_or(addr.port()), region },
            databases: self.databases,
            password_method: self.password_method,
            read_only: AtomicBool::new(self.read_only),
            authority: Authority::new(
                rules,
                self.clock.map_or_else(|| Clock::new(clock::system), Clock::new),
            ),
            record: Arc::new(record),
            faults: Faults::default(),
            ca,
            tls,
        };
        let state = Arc::new(state);
        let epoch = watch::Sender::new(0);
        tokio::spawn(listen(listener, state.clone(), epoch.subscribe()));
        Ok(PostgresServer { state, addr, user, access_key, ca_file, epoch })
    }
}

impl fmt::Debug for PostgresServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresServerBuilder")
            .field("hosts", &self.hosts)
            .field("region", &self.region)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

fn default(values: &mut Vec<String>, value: &str) {
    if values.is_empty() {
        values.push(value.to_owned());
    }
}
