//! Opening connections.

use mysql_async::{Conn, Opts};
use wrapper_adapter::HostList;
use wrapper_core::{
    Connected, Established, Plugin, Registry, Result, Role, Session, Value, adapter::Suspicion,
};

use crate::{ConnectorBuilder, DriverConfig, driver::MysqlDriver, suspicion::suspicion};

/// Opens MySQL and MariaDB connections through a chain of plugins; clones share everything.
///
/// What it gives is the driver's own connection.
///
/// # Security
///
/// The driver's `Debug` of a connection and of its options prints the password, which is the token:
/// log neither.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) hosts: HostList<MysqlDriver>,
    #[cfg(any(feature = "bb8", feature = "deadpool"))]
    pub(crate) rules: wrapper_adapter::PoolRules,
}

impl Connector {
    pub(crate) fn new(hosts: HostList<MysqlDriver>) -> Self {
        Self {
            #[cfg(any(feature = "bb8", feature = "deadpool"))]
            rules: hosts.pool_rules(),
            hosts,
        }
    }

    /// Starts to build a connector from the plugins that may be named.
    pub fn builder(registry: Registry<Conn>) -> ConnectorBuilder {
        ConnectorBuilder::new(registry)
    }

    /// Builds a connector from a URL, such as
    /// `mysql://jane@db.abc.us-east-2.rds.amazonaws.com/app?plugins=iam`.
    ///
    /// # Errors
    ///
    /// A configuration error, as [`ConnectorBuilder::build`].
    pub fn from_url(url: &str, registry: Registry<Conn>) -> Result<Self> {
        Self::builder(registry).connection_string(url).build()
    }

    /// Builds a connector from the driver's own options, which name no plugins; to name some use
    /// the builder.
    ///
    /// # Errors
    ///
    /// A configuration error, as [`ConnectorBuilder::build`].
    pub fn from_opts(opts: Opts, registry: Registry<Conn>) -> Result<Self> {
        Self::builder(registry).opts(opts).build()
    }

    /// Builds a connector from a map, such as a `BTreeMap<String, Value>` that `serde_json` has
    /// read.
    ///
    /// # Errors
    ///
    /// A configuration error, as [`ConnectorBuilder::build`].
    pub fn from_map<K, V>(map: impl IntoIterator<Item = (K, V)>, registry: Registry<Conn>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<Value>,
    {
        Self::builder(registry).map(map).build()
    }

    /// Opens one connection.
    ///
    /// # Errors
    ///
    /// What kept the connection from being opened, by kind.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind: what was being opened is brought to its end and
    /// closed, within five seconds.
    pub async fn connect(&self) -> Result<Conn> {
        self.hosts.connect().await.map(|connected| connected.connection)
    }

    /// Does the same, with what is known of the connection: host, address, instance, verified role.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_established(&self) -> Result<Connected<Conn>> {
        self.hosts.connect().await
    }

    /// Lets the plugins prepare, such as by loading credentials and signing a token, without
    /// connecting: for start-up and readiness checks.
    ///
    /// # Errors
    ///
    /// The first plugin's error.
    pub async fn warm_up(&self) -> Result<()> {
        self.hosts.warm_up().await
    }

    /// Tells the plugins of an error on a connection in use, so that they look after its server;
    /// returns what it made them suspect.
    pub fn report(&self, error: &mysql_async::Error) -> Option<Suspicion> {
        let suspicion = suspicion(error)?;
        self.hosts.suspect(suspicion);
        Some(suspicion)
    }

    /// Lets the plugins judge a connection that was in use before, within five seconds; without a
    /// plugin that does so it costs nothing.
    ///
    /// They are told the first configured host: [`check_established`](Self::check_established)
    /// tells them the one that it leads to.
    ///
    /// # Errors
    ///
    /// The first plugin's error; the connection must not be used then.
    pub async fn check(&self, session: &mut dyn Session) -> Result<()> {
        self.hosts.check(session, None).await
    }

    /// Does the same for a connection of which is known where it leads, as
    /// [`connect_established`](Self::connect_established) tells.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn check_established(
        &self,
        session: &mut dyn Session,
        established: &Established,
    ) -> Result<()> {
        self.hosts.check(session, Some(established)).await
    }

    /// Returns a connector for another database of the same hosts, which shares the TLS and the
    /// plugins of this one.
    ///
    /// # Errors
    ///
    /// A configuration error for a name that is empty or holds a control character.
    pub fn with_database(&self, database: &str) -> Result<Self> {
        self.hosts.with_database(database).map(Self::new)
    }

    /// Returns the plugin of a type, the outermost of several, for what it tells beside the
    /// connects.
    pub fn plugin<P: Plugin<Conn>>(&self) -> Option<&P> {
        self.hosts.plugin()
    }

    /// Returns a connector whose connects lead to the cluster's writer, whatever the endpoint is;
    /// it shares plugins and topology with this one.
    ///
    /// # Errors
    ///
    /// A configuration error if no plugin leads connects to roles, such as `failover2`.
    pub fn writer(&self) -> Result<Self> {
        self.hosts.with_role(Role::Writer).map(Self::new)
    }

    /// Returns a connector whose connects lead to the cluster's readers, and to the writer where
    /// there is none.
    ///
    /// # Errors
    ///
    /// As [`writer`](Self::writer).
    pub fn reader(&self) -> Result<Self> {
        self.hosts.with_role(Role::Reader).map(Self::new)
    }

    /// Returns a connector for one instance of the cluster, whose endpoint follows from
    /// `clusterInstanceHostPattern` or the configured RDS host.
    ///
    /// # Errors
    ///
    /// A configuration error if no pattern is known or the instance's name does not fit into it.
    pub fn instance(&self, id: &str) -> Result<Self> {
        self.hosts.instance(id).map(Self::new)
    }

    /// Returns the driver's own configuration, with verified TLS and a fresh token, for a program
    /// that connects by itself.
    ///
    /// # Errors
    ///
    /// What kept a plugin from giving a token.
    pub async fn driver_config(&self) -> Result<DriverConfig> {
        let request = self.hosts.prepare().await?;
        self.hosts.driver().driver_config(&request).await
    }

    /// Returns why the pools of this connector have no connection to give, where the pools
    /// themselves do not say.
    #[cfg(any(feature = "bb8", feature = "deadpool"))]
    pub fn last_error(&self) -> wrapper_adapter::LastError {
        self.rules.last_error().clone()
    }

    /// Returns the configured host and port.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, u16)> {
        self.hosts.requests().iter().map(|request| (request.host(), request.port()))
    }

    /// Returns the database user.
    pub fn user(&self) -> &str {
        self.hosts.requests()[0].user()
    }
}
