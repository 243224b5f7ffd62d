//! The description and the state shared by the servers of both protocols.

mod methods;
mod run;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;

pub(crate) use self::methods::{builder_methods, server_methods};
pub(crate) use self::run::Running;
use crate::access_key::AccessKey;
use crate::answers::Answers;
use crate::ca_file::CaFile;
use crate::clock::{self, Clock};
use crate::cluster::{self, NodeView};
use crate::error::{Error, Result};
use crate::fault::{Fault, Faults};
use crate::forward::Target;
use crate::journal::Journal;
use crate::record::Record;
use crate::rows::Rows;
use crate::server_error::ServerError;
use crate::sql;
use crate::tls::{CertificateAuthority, Validity};
use crate::token_policy::{Account, Endpoint, Rules, TokenPolicy, percent_encoded};

const DEFAULT_HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
const DEFAULT_REGION: &str = "us-east-2";
const DEFAULT_USER: &str = "jane";

/// The protocol that a server speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Engine {
    Mysql,
    #[default]
    Postgres,
}

/// The settings of a server to start, as the builders of both protocols collect them.
#[derive(Default)]
pub(crate) struct Description {
    pub(crate) engine: Engine,
    pub(crate) hosts: Vec<String>,
    /// Further names in the certificate.
    pub(crate) names: Vec<String>,
    pub(crate) region: Option<String>,
    pub(crate) signed_port: Option<u16>,
    pub(crate) users: Vec<String>,
    pub(crate) password_users: Vec<(String, String)>,
    pub(crate) databases: Vec<String>,
    pub(crate) access_keys: Vec<AccessKey>,
    pub(crate) ca: Option<CertificateAuthority>,
    pub(crate) clock: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
    pub(crate) read_only: bool,
    pub(crate) port: u16,
    pub(crate) answers: Answers,
    pub(crate) node: Option<Membership>,
    pub(crate) forward: Option<Target>,
}

/// What a node takes from its cluster: the bound listener, the shared token policy, and the view
/// that it answers from.
pub(crate) struct Membership {
    pub(crate) listener: TcpListener,
    pub(crate) token_policy: TokenPolicy,
    pub(crate) view: NodeView,
}

/// The state shared by all connections of a server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) endpoint: Endpoint,
    pub(crate) databases: Vec<String>,
    read_only: AtomicBool,
    pub(crate) token_policy: TokenPolicy,
    pub(crate) record: Arc<Record>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) answers: Answers,
    pub(crate) faults: Faults,
    pub(crate) ca: CertificateAuthority,
    pub(crate) forward: Option<Target>,
    node: Option<NodeView>,
    names: Vec<String>,
    tls: Arc<ServerConfig>,
}

/// A bound server that does not accept yet: what [`Description::open`] returns, and a protocol's
/// server starts from.
pub(crate) struct Opened {
    pub(crate) addr: SocketAddr,
    pub(crate) shared: Shared,
    pub(crate) listener: TcpListener,
    pub(crate) user: String,
    pub(crate) access_key: AccessKey,
    pub(crate) ca_file: CaFile,
}

impl Description {
    /// Fills in the defaults and binds a port of 127.0.0.1, a free one unless the description names
    /// one.
    pub(crate) async fn open(mut self) -> Result<Opened> {
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
        let ca = self.ca.map_or_else(CertificateAuthority::generate, Ok)?;
        let names = [&self.hosts[..], &self.names].concat();
        let tls = ca.server_config(&names, Validity::Current)?;
        let ca_file =
            CaFile::write(ca.pem()).map_err(|error| Error::io("no file for the certificate", error))?;
        let no_port = |error| Error::io(format!("port {} of 127.0.0.1 cannot be taken", self.port), error);
        let user = self.users[0].clone();
        let (listener, token_policy, node) = match self.node {
            Some(Membership { listener, token_policy, view }) => (listener, token_policy, Some(view)),
            None => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.map_err(no_port)?;
                let clock = self.clock.map_or_else(|| Clock::new(clock::system), Clock::new);
                let rules = Rules::new(self.access_keys, self.users, self.password_users);
                (listener, TokenPolicy::new(rules, clock), None)
            }
        };
        let addr = listener.local_addr().map_err(no_port)?;
        let record = Record::new().map_err(|error| Error::io("no random bytes", error))?;
        let shared = Shared {
            engine: self.engine,
            endpoint: Endpoint { hosts: self.hosts, port: self.signed_port.unwrap_or(addr.port()), region },
            databases: self.databases,
            read_only: AtomicBool::new(self.read_only),
            token_policy,
            record: Arc::new(record),
            journal: Arc::default(),
            answers: self.answers,
            faults: Faults::default(),
            ca,
            forward: self.forward,
            node,
            names,
            tls,
        };
        Ok(Opened { addr, shared, listener, user, access_key, ca_file })
    }
}

impl Rules {
    /// Creates the rules for these access keys, users with `rds_iam` and users with passwords.
    pub(crate) fn new(
        keys: Vec<AccessKey>,
        users: Vec<String>,
        password_users: Vec<(String, String)>,
    ) -> Self {
        let iam = users.into_iter().map(|user| (user, Account::Iam));
        let password = password_users.into_iter().map(|(user, word)| (user, Account::Password(word)));
        let keys = keys.into_iter().map(|key| (key.access_key_id().to_owned(), key));
        Self { keys: keys.collect(), users: iam.chain(password).collect(), ..Self::default() }
    }
}

impl Shared {
    pub(crate) fn is_read_only(&self) -> bool {
        // Pairs with the store below: whoever sees a promoted node sees the old writer demoted.
        self.read_only.load(Ordering::Acquire)
    }

    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Release);
    }

    /// Returns the server's answer to the role query; a node of a cluster may lie.
    pub(crate) fn reports_read_only(&self) -> bool {
        self.node.as_ref().and_then(NodeView::lie_of_role).unwrap_or_else(|| self.is_read_only())
    }

    /// Returns the reported value of `in_hot_standby`; a node of a cluster may lie.
    pub(crate) fn reports_standby(&self) -> bool {
        self.node.as_ref().and_then(NodeView::lie_of_standby).unwrap_or_else(|| self.is_read_only())
    }

    /// Returns the answer of the test or the cluster, or the error of a write at a reader; `None`
    /// leaves the statement to the protocol's built-in answers.
    pub(crate) fn answer(&self, statement: &str) -> Option<std::result::Result<Rows, ServerError>> {
        let verb = sql::verb(statement);
        // Before the answers of the test: a reader refuses every write.
        if self.is_read_only() && sql::is_write(&verb) {
            return Some(Err(ServerError::read_only(self.engine, &verb)));
        }
        let canonical = sql::canonical(statement);
        self.answers.find(&canonical).map(Ok).or_else(|| match &self.node {
            Some(node) => node.answer(&canonical),
            None => cluster::answer_without_cluster(self.engine, &canonical),
        })
    }

    pub(crate) fn url(&self, running: &Running) -> String {
        let scheme = match self.engine {
            Engine::Mysql => "mysql",
            Engine::Postgres => "postgres",
        };
        let database = self.databases.first().map_or("app", String::as_str);
        let host = &self.endpoint.hosts[0];
        // Some clients verify only the name that they dial.
        let dialled = match self.names.iter().any(|name| name == "localhost") {
            true => format!("localhost:{}", running.addr.port()),
            false => running.addr.to_string(),
        };
        let mut url = format!(
            "{scheme}://{}@{dialled}/{}?plugins=iam&iamHost={host}&sslrootcert={}",
            percent_encoded(&running.user),
            percent_encoded(database),
            percent_encoded(&running.ca_file.path().to_string_lossy()),
        );
        // Only where they differ, since an application without a tunnel needs no such parameter.
        if self.endpoint.port != running.addr.port() {
            url.push_str(&format!("&iamDefaultPort={}", self.endpoint.port));
        }
        if !host.contains(&format!(".{}.", self.endpoint.region)) {
            url.push_str(&format!("&iamRegion={}", self.endpoint.region));
        }
        url
    }

    pub(crate) fn env(&self, running: &Running) -> Vec<(&'static str, String)> {
        let mut pairs = running.access_key.env();
        pairs.push(("AWS_REGION", self.endpoint.region.clone()));
        // Disables the metadata service, which costs seconds where it is missing.
        pairs.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
        pairs.push(("DATABASE_URL", self.url(running)));
        pairs
    }

    pub(crate) fn refuses_tls(&self) -> bool {
        self.faults.take(|fault| matches!(fault, Fault::NoTls).then_some(())).is_some()
    }

    /// Returns the certificate that a fault selects, otherwise the server's own.
    pub(crate) fn tls_config(&self) -> io::Result<Arc<ServerConfig>> {
        let fault = self.faults.take(|fault| {
            let is_certificate = matches!(
                fault,
                Fault::CertificateExpired | Fault::CertificateFrom(_) | Fault::CertificateFor(_)
            );
            is_certificate.then(|| fault.clone())
        });
        let names = &self.names;
        match fault {
            Some(Fault::CertificateExpired) => self.ca.server_config(names, Validity::Expired),
            Some(Fault::CertificateFrom(ca)) => ca.server_config(names, Validity::Current),
            Some(Fault::CertificateFor(name)) => self.ca.server_config(&[name], Validity::Current),
            _ => Ok(self.tls.clone()),
        }
        .map_err(io::Error::other)
    }
}

fn default(values: &mut Vec<String>, value: &str) {
    if values.is_empty() {
        values.push(value.to_owned());
    }
}
