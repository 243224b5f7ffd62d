//! What a driver reads of a connection string.

use std::net::IpAddr;

use tokio_postgres::{
    Config,
    config::{Host, SslNegotiation},
};
use wrapper_core::Result;

use super::connector::configuration;
use crate::cli::Engine;

/// One database server, and who logs in there.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: Option<String>,
    /// The address to dial in place of asking DNS.
    pub(super) address: Option<IpAddr>,
    /// TLS begins without asking for it.
    pub(super) is_direct: bool,
    pub(super) has_password: bool,
}

impl Server {
    pub(super) fn of_postgres(text: &str) -> Result<Self> {
        let config: Config =
            text.parse().map_err(|_| configuration("the connection string cannot be read"))?;
        let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
        if hosts.len() > 1 || addresses.len() > 1 {
            return Err(configuration("several hosts are named: examine them one at a time"));
        }
        let host = match (hosts.first(), addresses.first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            _ => return Err(configuration("no host to examine: a unix socket takes no token")),
        };
        Ok(Self {
            engine: Engine::Postgres,
            host,
            port: config.get_ports().first().copied().unwrap_or(Engine::Postgres.default_port()),
            user: config.get_user().unwrap_or_default().to_owned(),
            database: config.get_dbname().map(str::to_owned),
            address: addresses.first().copied(),
            is_direct: config.get_ssl_negotiation() == SslNegotiation::Direct,
            has_password: config.get_password().is_some(),
        })
    }

    #[cfg(feature = "mysql")]
    pub(super) fn of_mysql(url: &str) -> Result<Self> {
        // What the query says of TLS the connector has judged.
        let place = url.split('?').next().unwrap_or_default();
        let opts = mysql_async::Opts::from_url(place)
            .map_err(|_| configuration("the connection string cannot be read"))?;
        Ok(Self {
            engine: Engine::Mysql,
            host: opts.ip_or_hostname().trim_matches(['[', ']']).to_owned(),
            port: opts.tcp_port(),
            user: opts.user().unwrap_or_default().to_owned(),
            database: opts.db_name().map(str::to_owned),
            address: None,
            is_direct: false,
            has_password: opts.pass().is_some(),
        })
    }

    #[cfg(not(feature = "mysql"))]
    pub(super) fn of_mysql(_url: &str) -> Result<Self> {
        // The connector has said so, in better words.
        Err(configuration("MySQL is not known to this program"))
    }
}
