//! Opening connections, host after host.

use tokio_postgres::Config;
use wrapper_adapter::{HostList, PoolRules};
use wrapper_core::{Registry, Result};

use crate::{ConnectorBuilder, DriverConfig, PgConnection, Tls, driver::PgDriver, suspicion::suspicion};

/// Opens PostgreSQL connections through a chain of plugins; clones share everything.
///
/// It returns the driver's own pair: spawn the connection, use the client.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) hosts: HostList<PgDriver>,
    pub(crate) rules: PoolRules,
}

impl Connector {
    pub(crate) fn new(hosts: HostList<PgDriver>) -> Self {
        Self { rules: hosts.pool_rules(), hosts }
    }

    wrapper_adapter::connector_methods! {
        connection: PgConnection,
        builder: ConnectorBuilder,
        driver_config: DriverConfig,
        error: tokio_postgres::Error,
        suspicion: suspicion,
    }

    /// Builds a connector from the driver's own configuration, which names no plugins.
    ///
    /// To enable plugins, use the builder:
    /// `Connector::builder(registry).config(config).parameter("plugins", "iam")`.
    ///
    /// # Errors
    ///
    /// A configuration error, as [`ConnectorBuilder::build`].
    pub fn from_config(config: Config, registry: Registry<PgConnection>) -> Result<Self> {
        Self::builder(registry).config(config).build()
    }

    /// Returns the TLS connector, which cancel requests need:
    /// `client.cancel_token().cancel_query(connector.tls())`.
    ///
    /// RDS Proxy ignores cancel requests.
    pub fn tls(&self) -> Tls {
        self.hosts.driver().tls().clone()
    }
}
