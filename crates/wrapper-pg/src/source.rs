//! Where a configuration comes from: a string, a map, or the driver's own type.

use tokio_postgres::Config;
use wrapper_core::{Cut, Error, ErrorKind, Parameters, Registry, Result, Value, cut_key_value, cut_url};

/// The names that the driver understands, for the hint in an error; the driver itself decides.
const DRIVER_NAMES: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Reads a connection string of either form; our parameters go to `given`.
pub(crate) fn read_string<C>(text: &str, registry: &Registry<C>, given: &mut Parameters) -> Result<Config> {
    let is_ours = |name: &str| registry.declares(name);
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_url && has_stray_at_sign(text) {
        return Err(configuration(
            "an `@` in the URL's query would be read as the end of user and password: write it %40",
        ));
    }
    let Cut { rest, pairs } = match text.split_once("://") {
        _ if is_url => cut_url(text, is_ours)?,
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
            return Err(configuration(format!("scheme `{scheme}` is not PostgreSQL's: it is `postgres://`")));
        }
        _ => cut_key_value(text, is_ours)?,
    };
    for (name, value) in pairs {
        given.configure(&name, value)?;
    }
    let config: Config = rest.parse().map_err(|error| driver_error(error, registry))?;
    Ok(config)
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<C>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<C>,
    given: &mut Parameters,
) -> Result<Config> {
    let mut driver = String::new();
    let mut seen = Parameters::new();
    for (name, value) in pairs {
        let name = match name.as_str() {
            "database" => "dbname",
            "ssl.ca" => "sslrootcert",
            name => name,
        };
        if registry.declares(name) {
            given.configure(name, value)?;
            continue;
        }
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '=') {
            return Err(registry.unknown_parameter(name, DRIVER_NAMES));
        }
        // Keeps an eye on repeated names and control characters.
        seen.configure(name, value.clone())?;
        let value = value.to_string().replace('\\', "\\\\").replace('\'', "\\'");
        driver.push_str(&format!("{name}='{value}' "));
    }
    driver.parse().map_err(|error| driver_error(error, registry))
}

/// Whether the driver, to which all before the first `@` is user and password, would take a piece of the path or the query for them.
fn has_stray_at_sign(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((user_info, _)) = after_scheme.split_once('@') else {
        return false;
    };
    // A password may hold an unescaped `?`, and libpq lets it; a user's name or a host with one is a query.
    match user_info.split_once('?') {
        Some((before, _)) => before.contains('/') || !before.contains(':'),
        None => false,
    }
}

fn driver_error<C>(error: tokio_postgres::Error, registry: &Registry<C>) -> Error {
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let quoted = source.split('`').nth(1).unwrap_or_default();
    if source.starts_with("unknown option") {
        return registry.unknown_parameter(quoted, DRIVER_NAMES);
    }
    if source.starts_with("invalid value") {
        return configuration(format!("the value of `{quoted}` is not one that the driver takes"));
    }
    configuration("the connection string cannot be read: it is postgres://user@host/database?name=value or `host=… user=…`")
        .with_source(error)
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
