//! Where a configuration comes from: a URL, a map, or the driver's own type.

use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, UrlError};
use wrapper_adapter::{
    ConnectKeys, ConnectionText, DriverNames, SplitParameters, StringForm, UrlParts, UserInfoEnd,
    flat_entries, percent_encoded, split_url,
};
use wrapper_core::{
    Engine, Error, ErrorKind, Password, Registry, Result, Value, adapter::RawParameters, text::is_name,
};

use crate::tls::TlsFlags;

/// A connection that is silent for so long is asked whether its server lives. How often and how
/// long is up to the operating system, for the driver takes no more than this: about 11 minutes by
/// Linux's defaults.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// The strings that the driver reads.
pub(crate) const FORM: StringForm = StringForm::new("MySQL", &["mysql"], false).with_maps();

/// The names that the driver understands, the keys of a map among them.
const DRIVER: DriverNames<'_> = DriverNames {
    names: &[
        "abs_conn_ttl",
        "abs_conn_ttl_jitter",
        "built_in_roots",
        "client_found_rows",
        "compression",
        "conn_ttl",
        "database",
        "enable_cleartext_plugin",
        "host",
        "inactive_connection_ttl",
        "max_allowed_packet",
        "password",
        "pool_max",
        "pool_min",
        "port",
        "prefer_socket",
        "require_ssl",
        "reset_connection",
        "secure_auth",
        "socket",
        "stmt_cache_size",
        "tcp_keepalive",
        "tcp_nodelay",
        "ttl_check_interval",
        "user",
        "verify_ca",
        "verify_identity",
        "wait_timeout",
    ],
    known_elsewhere: &[
        ("compress", "compression"),
        ("databaseName", "database"),
        ("db", "database"),
        ("dbname", "database"),
        ("keepAlive", "tcp_keepalive"),
        ("schema", "database"),
        ("unixSocket", "socket"),
    ],
    engine: Some(Engine::Mysql),
};

/// Reads a URL; our parameters go to `given`.
pub(crate) fn read_url<C>(
    url: &str,
    registry: &Registry<C>,
    given: &mut RawParameters,
) -> Result<(Opts, TlsFlags)> {
    // Pairs are refused by the form.
    let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) = FORM.read(url)?;
    let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
    if parts.hosts.contains(',') {
        return Err(configuration("several hosts are named, and the driver connects to one"));
    }
    // The driver reads them again, and takes more than a server does.
    ConnectKeys::of_url(&parts)?.request(Engine::Mysql, &FORM)?;
    let is_ours = |name: &str| registry.declares(name) || TlsFlags::NAMES.contains(&name);
    let SplitParameters { rest, pairs, others } = split_url(url, is_ours)?;
    if let Some(key) = others.iter().find_map(|name| misplaced(name, registry)) {
        return Err(configuration(format!(
            "`{key}` stands before the query of a URL: write mysql://user:password@host:port/database"
        )));
    }
    let mut flags = TlsFlags::default();
    for (name, value) in pairs {
        given_or_switch(&name, value.into(), &mut flags, |name, value| given.configure(name, value))?;
    }
    let opts = Opts::from_url(&rest).map_err(|error| url_error(error, registry, Some(&parts)))?;
    Ok((opts, flags))
}

/// Returns the key that a name in a query means and that belongs elsewhere in a URL.
fn misplaced<C>(name: &str, registry: &Registry<C>) -> Option<&'static str> {
    let meant = |key: &&&str| **key == name || DRIVER.suggest(registry, name) == Some(**key);
    let is_exact = !DRIVER.names.contains(&name) || ConnectKeys::NAMES.contains(&name);
    // A typo of `password` is named as what it is.
    let is_alias = |key: &&&str| **key == name || **key != "password";
    ConnectKeys::NAMES.iter().filter(|_| is_exact).filter(is_alias).find(meant).copied()
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<C>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<C>,
    given: &mut RawParameters,
) -> Result<(Opts, TlsFlags)> {
    DRIVER.check_elsewhere(registry, &pairs)?;
    let mut flags = TlsFlags::default();
    let mut seen = RawParameters::new();
    let mut keys = ConnectKeys::default();
    // Options go through the driver's own reading of them, and nothing that is secret does.
    let mut options = Vec::new();
    for (name, value) in flat_entries(pairs, given)? {
        let name = name.as_str();
        if registry.declares(name) || TlsFlags::NAMES.contains(&name) {
            given_or_switch(name, value, &mut flags, |name, value| given.configure_from_map(name, value))?;
            continue;
        }
        let text = value.single(name)?;
        // Keeps an eye on repeated names and control characters.
        seen.configure(name, value)?;
        match name {
            _ if ConnectKeys::NAMES.contains(&name) => keys.set(name, text)?,
            _ => options.push(format!("{}={}", percent_encoded(name), percent_encoded(&text))),
        }
    }
    let url = format!("mysql://host/?{}", options.join("&"));
    let url = url.trim_end_matches(['/', '?']);
    let opts = Opts::from_url(url).map_err(|error| url_error(error, registry, None))?;
    // No host is an empty one: the driver's default is not what is meant.
    let builder = OptsBuilder::from_opts(opts)
        .ip_or_hostname(keys.host().unwrap_or_default())
        .tcp_port(keys.port().unwrap_or(Engine::Mysql.default_port()))
        .user(keys.user())
        .db_name(keys.database())
        .pass(keys.password().map(Password::as_secret));
    Ok((builder.into(), flags))
}

fn given_or_switch(
    name: &str,
    value: Value,
    flags: &mut TlsFlags,
    give: impl FnOnce(&str, Value) -> Result<()>,
) -> Result<()> {
    if TlsFlags::NAMES.contains(&name) {
        return flags.set(name, &value);
    }
    give(name, value)
}

fn url_error<C>(error: UrlError, registry: &Registry<C>, parts: Option<&UrlParts<'_>>) -> Error {
    match error {
        UrlError::UnknownParameter { param } => match parts.is_some_and(|parts| parts.is_doubtful(&param)) {
            true => DRIVER.unknown_in_doubt(registry, &param),
            false => DRIVER.unknown(registry, &param),
        },
        // The driver's error prints the value.
        UrlError::InvalidParamValue { param, .. } if is_name(&param) => {
            configuration(format!("the value of `{param}` is not one that the driver takes"))
        }
        // The driver has a minimum of its own, so that `pool_max` alone can be too little.
        UrlError::InvalidPoolConstraints { .. } => {
            configuration("`pool_max` is less than `pool_min`: leave both out, for they have no effect here")
                .with_source(error)
        }
        error => {
            let ours = configuration("the URL cannot be read: it is mysql://user@host/database?name=value");
            match error {
                UrlError::Parse(_) => ours.with_source(error),
                _ => ours,
            }
        }
    }
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
