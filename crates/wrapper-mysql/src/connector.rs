//! Opening connections.

use mysql_async::{Conn, Opts};
use wrapper_adapter::{HostList, PoolRules};
use wrapper_core::{Registry, Result};

use crate::{ConnectorBuilder, DriverConfig, driver::MysqlDriver, suspicion::suspicion};

/// Opens MySQL and MariaDB connections through a chain of plugins; clones share everything.
///
/// It returns the driver's own connection.
///
/// # Security
///
/// The driver's `Debug` of a connection and of its options prints the password, which is the token:
/// log neither.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) hosts: HostList<MysqlDriver>,
    pub(crate) rules: PoolRules,
}

impl Connector {
    pub(crate) fn new(hosts: HostList<MysqlDriver>) -> Self {
        Self { rules: hosts.pool_rules(), hosts }
    }

    wrapper_adapter::connector_methods! {
        connection: Conn,
        builder: ConnectorBuilder,
        driver_config: DriverConfig,
        error: mysql_async::Error,
        suspicion: suspicion,
    }

    /// Builds a connector from the driver's own options, which name no plugins; to enable
    /// some, use the builder.
    ///
    /// # Errors
    ///
    /// A configuration error, as [`ConnectorBuilder::build`].
    pub fn from_opts(opts: Opts, registry: Registry<Conn>) -> Result<Self> {
        Self::builder(registry).opts(opts).build()
    }
}
