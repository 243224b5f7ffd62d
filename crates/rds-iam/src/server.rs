//! The part of a connection string that belongs to the driver.

use std::net::IpAddr;

use tokio_postgres::{
    Config,
    config::{Host, SslNegotiation},
};
use wrapper_adapter::{UrlParts, UserInfoEnd, percent_decoded};
use wrapper_core::Result;

use crate::{cli::Engine, target::configuration};

/// One database server, and who logs in there.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: Option<String>,
    /// The address to dial in place of asking DNS.
    pub(crate) address: Option<IpAddr>,
    /// The TLS handshake starts without an SSLRequest (`sslnegotiation=direct`).
    pub(crate) is_direct: bool,
    pub(crate) has_password: bool,
    /// Further variables for clients of libpq.
    #[cfg_attr(not(unix), expect(dead_code, reason = "clients are run on Unix only"))]
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Server {
    /// Parses a connection string with the driver of PostgreSQL.
    pub(crate) fn of_postgres(text: &str) -> Result<Self> {
        let config: Config =
            text.parse().map_err(|_| configuration("the connection string cannot be read"))?;
        let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
        if hosts.len() > 1 || addresses.len() > 1 {
            return Err(configuration("several hosts: examine them one at a time"));
        }
        let host = match (hosts.first(), addresses.first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            _ => return Err(configuration("missing host: a unix socket does not take tokens")),
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
            settings: settings_of(&config),
        })
    }

    /// Splits a MySQL URL as the driver does, which need not be compiled in.
    pub(crate) fn of_mysql(url: &str) -> Result<Self> {
        let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
        let text = |encoded: &str| {
            percent_decoded(encoded)
                .map_err(|_| configuration("the connection string holds a `%XX` that is not UTF-8"))
        };
        let (user, password) = match parts.user_info.map(|info| info.split_once(':').ok_or(info)) {
            Some(Ok((user, password))) => (user, !password.is_empty()),
            Some(Err(user)) => (user, false),
            None => ("", false),
        };
        // `UrlParts` has checked the port.
        let (host, port) = match parts.hosts.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (parts.hosts, None),
        };
        let database = Some(text(parts.path)?).filter(|database| !database.is_empty());
        Ok(Self {
            engine: Engine::Mysql,
            host: text(host)?.trim_matches(['[', ']']).to_owned(),
            port: port.unwrap_or(Engine::Mysql.default_port()),
            user: text(user)?,
            database,
            address: None,
            is_direct: false,
            has_password: password,
            settings: Vec::new(),
        })
    }
}

/// Settings of the driver that clients of libpq have too, with their variables.
fn settings_of(config: &Config) -> Vec<(&'static str, String)> {
    let timeout = config.get_connect_timeout().map(|limit| limit.as_secs().max(1).to_string());
    [
        ("PGAPPNAME", config.get_application_name().map(str::to_owned)),
        ("PGCONNECT_TIMEOUT", timeout),
        ("PGOPTIONS", config.get_options().map(str::to_owned)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}
