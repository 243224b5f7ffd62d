//! Taking a driver's configuration apart into hosts and the rest.

use std::net::IpAddr;

use tokio_postgres::{Config, config::Host};
use wrapper_adapter::check_host;
use wrapper_core::{Engine, Error, ErrorKind, Result};

/// One host of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A DNS name, an IP address, or the folder of a unix socket.
    pub(crate) host: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Target {
    pub(crate) fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Lists the hosts of a configuration, paired with their addresses and ports as the driver pairs
/// them.
pub(crate) fn targets(config: &Config) -> Result<Vec<Target>> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(configuration("missing host: name one, as in postgres://user@host/database"));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(configuration(format!(
            "{} hosts but {} in `hostaddr`: give one address for each host",
            hosts.len(),
            addresses.len()
        )));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(configuration(format!(
            "{count} hosts but {} ports: give one port, or one for each host",
            ports.len()
        )));
    }
    let target = |index: usize| {
        let address = addresses.get(index).copied();
        let host = match hosts.get(index) {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(folder)) => folder.to_string_lossy().into_owned(),
            None => address.map(|address| address.to_string()).unwrap_or_default(),
        };
        // One port is for all hosts, as in libpq.
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(Engine::Postgres.default_port());
        Target { host, address, port }
    };
    let targets: Vec<_> = (0..count).map(target).collect();
    if targets.iter().any(|target| target.host.trim().is_empty()) {
        return Err(configuration("a host is empty: name it, as in postgres://user@host/database"));
    }
    // No folder begins so, but a URL that lost its scheme does.
    let is_folder = |target: &&Target| target.is_unix() && !target.host.starts_with("//");
    targets.iter().filter(|target| !is_folder(target)).try_for_each(|target| check_host(&target.host))?;
    Ok(targets)
}

/// Copies a configuration without hosts, addresses and ports, to which the driver's builder can
/// only add, and without the password where a plugin gives one.
///
/// # Errors
///
/// A configuration error if the driver has an option that would be lost on the way.
pub(crate) fn base(config: &Config, keep_password: bool) -> Result<Config> {
    let mut base = Config::new();
    if let Some(user) = config.get_user() {
        base.user(user);
    }
    if let Some(database) = config.get_dbname() {
        base.dbname(database);
    }
    if let Some(options) = config.get_options() {
        base.options(options);
    }
    if let Some(name) = config.get_application_name() {
        base.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        base.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        base.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        base.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        base.keepalives_retries(retries);
    }
    base.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    // Compared as a whole: an option of a later driver is then an error, and not lost.
    let mut whole = base.clone();
    if let Some(password) = config.get_password() {
        whole.password(password);
    }
    if with_hosts_of(config, whole.clone()) != *config {
        return Err(configuration(
            "the configuration has an option of the driver that this version does not know",
        ));
    }
    Ok(if keep_password { whole } else { base })
}

fn with_hosts_of(config: &Config, mut base: Config) -> Config {
    for host in config.get_hosts() {
        match host {
            Host::Tcp(name) => base.host(name),
            #[cfg(unix)]
            Host::Unix(folder) => base.host_path(folder),
        };
    }
    for address in config.get_hostaddrs() {
        base.hostaddr(*address);
    }
    for port in config.get_ports() {
        base.port(*port);
    }
    base
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        text.parse().expect("the driver reads it")
    }

    #[test]
    fn every_option_survives_without_the_hosts() {
        let config = parsed(
            "postgres://u:p@a,b:5433/db?application_name=x&target_session_attrs=read-write&options=-c%20a%3Db&keepalives=1&keepalives_idle=7&keepalives_interval=8&keepalives_retries=3&connect_timeout=5&tcp_user_timeout=9&channel_binding=disable&load_balance_hosts=random&sslmode=require&sslnegotiation=direct",
        );

        let base = base(&config, true).expect("nothing is lost");

        assert!(base.get_hosts().is_empty() && base.get_ports().is_empty());
        assert_eq!(with_hosts_of(&config, base), config);
    }

    #[test]
    fn hosts_are_paired_with_addresses_and_ports() {
        let pair = targets(&parsed("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2 user=u")).expect("fit");
        let address = |text: &str| text.parse().ok();

        assert_eq!(
            pair,
            [
                Target { host: "a".into(), address: address("10.0.0.1"), port: 1 },
                Target { host: "b".into(), address: address("10.0.0.2"), port: 2 },
            ]
        );
        let alone = targets(&parsed("hostaddr=10.0.0.1 user=u")).expect("fits");
        assert_eq!(alone[0].host, "10.0.0.1");
        assert_eq!(alone[0].port, 5432);
    }

    #[test]
    fn host_lists_that_do_not_fit_are_refused() {
        let message = |text: &str| targets(&parsed(text)).expect_err("does not fit").to_string();

        assert!(message("user=u").starts_with("missing host"));
        assert!(message("host=a,b hostaddr=10.0.0.1 user=u").contains("2 hosts but 1 in `hostaddr`"));
        assert!(message("host=a,b,c port=1,2 user=u").contains("3 hosts but 2 ports"));
    }
}
