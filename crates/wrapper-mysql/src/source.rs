//! Where a configuration comes from: a URL, a map, or the driver's own type.

use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, UrlError};
use wrapper_core::{Cut, Error, ErrorKind, Parameters, Registry, Result, Value, cut_url, percent_encoded};

use crate::tls::Switches;

/// A connection that is silent for so long is asked whether its server lives. How often and how long is up to the operating
/// system, for the driver takes no more than this: about 11 minutes by Linux's defaults.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// The names that the driver understands, for the hint in an error; the driver itself decides.
const DRIVER_NAMES: &[&str] = &[
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
];

/// Reads a URL; our parameters go to `given`.
pub(crate) fn read_url<C>(
    url: &str,
    registry: &Registry<C>,
    given: &mut Parameters,
) -> Result<(Opts, Switches)> {
    // Where a query begins before the user ends, a piece of the password would pass for a parameter's name.
    if url.find('@').is_some_and(|at| url[..at].contains('?')) {
        return Err(configuration(
            "the URL's user, password or values hold `?` or `@`: write them %3F and %40",
        ));
    }
    let is_ours = |name: &str| registry.declares(name) || Switches::NAMES.contains(&name);
    let Cut { rest, pairs } = cut_url(url, is_ours)?;
    let mut switches = Switches::default();
    for (name, value) in pairs {
        take(&name, value.into(), given, &mut switches)?;
    }
    let opts = Opts::from_url(&rest).map_err(|error| url_error(error, registry))?;
    Ok((opts, switches))
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<C>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<C>,
    given: &mut Parameters,
) -> Result<(Opts, Switches)> {
    let mut switches = Switches::default();
    let mut seen = Parameters::new();
    let mut keys = Vec::new();
    // Options go through the driver's own reading of them, and nothing that is secret does.
    let mut options = Vec::new();
    for (name, value) in pairs {
        let name = if name == "ssl.ca" { "sslrootcert" } else { name.as_str() };
        if registry.declares(name) || Switches::NAMES.contains(&name) {
            take(name, value, given, &mut switches)?;
            continue;
        }
        // Keeps an eye on repeated names and control characters.
        seen.configure(name, value.clone())?;
        match name {
            "host" | "port" | "user" | "database" | "password" => keys.push((name.to_owned(), value)),
            _ => options.push(format!("{}={}", percent_encoded(name), percent_encoded(&value.to_string()))),
        }
    }
    let url = format!("mysql://host/?{}", options.join("&"));
    let url = url.trim_end_matches(['/', '?']);
    let opts = Opts::from_url(url).map_err(|error| url_error(error, registry))?;
    let mut builder = OptsBuilder::from_opts(opts).ip_or_hostname("");
    for (name, value) in keys {
        let value = value.to_string();
        builder = match name.as_str() {
            "host" => builder.ip_or_hostname(value),
            "port" => builder.tcp_port(port(&value)?),
            "user" => builder.user(Some(value)),
            "database" => builder.db_name(Some(value)),
            _ => builder.pass(Some(value)),
        };
    }
    Ok((builder.into(), switches))
}

fn take(name: &str, value: Value, given: &mut Parameters, switches: &mut Switches) -> Result<()> {
    if Switches::NAMES.contains(&name) {
        return switches.set(name, &value);
    }
    given.configure(name, value)
}

fn port(text: &str) -> Result<u16> {
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        configuration(format!("`port` must be a whole number from 1 to 65535, not `{}`", text.escape_debug()))
    })
}

fn url_error<C>(error: UrlError, registry: &Registry<C>) -> Error {
    match error {
        UrlError::UnknownParameter { param } => registry.unknown_parameter(&param, DRIVER_NAMES),
        // The driver's error prints the value.
        UrlError::InvalidParamValue { param, .. } => {
            configuration(format!("the value of `{param}` is not one that the driver takes"))
        }
        UrlError::UnsupportedScheme { scheme } => {
            configuration(format!("scheme `{scheme}` is not MySQL's: it is `mysql://`"))
        }
        error => configuration("the URL cannot be read: it is mysql://user@host/database?name=value")
            .with_source(error),
    }
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
