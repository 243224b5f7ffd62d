//! Where a pool connects to, read from a URL or a map.

use wrapper_core::{
    Cut, Error, ErrorKind, Parameters, Registry, Result, Value, cut_url, percent_decoded, percent_encoded,
};

use crate::engine::sealed::Driver;

/// The host, port, user and database of a configuration.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: Option<String>,
}

/// A configuration taken apart: where to connect to, and the driver's own options as they stood in the query.
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) query: String,
}

/// Keys of the map form, and names that sqlx would take from a URL's query as well.
const KEYS: &[&str] = &["host", "port", "user", "database", "password"];

/// Reads a URL; our parameters go to `given`.
pub(crate) fn read_url<D: Driver>(
    url: &str,
    registry: &Registry<()>,
    given: &mut Parameters,
) -> Result<Source> {
    let Cut { rest, pairs } = cut_url(url, |name| registry.declares(name))?;
    for (name, value) in pairs {
        given.configure(&name, value)?;
    }
    let own = cut_url(&rest, |_| true)?;
    own.pairs.iter().try_for_each(|(name, _)| check_name::<D>(name, registry))?;
    // What stands between the place and the end is the driver's, byte for byte.
    let query = rest[own.rest.len()..].trim_start_matches('?').to_owned();
    let keys = keys::<D>(&own.rest)?;
    Ok(Source { place: place::<D>(keys)?, query })
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<D: Driver>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<()>,
    given: &mut Parameters,
) -> Result<Source> {
    let mut keys = Parameters::new();
    let mut seen = Parameters::new();
    let mut query = Vec::new();
    for (name, value) in pairs {
        let name = if name == "ssl.ca" { "sslrootcert" } else { name.as_str() };
        if registry.declares(name) {
            given.configure(name, value)?;
        } else if KEYS.contains(&name) {
            keys.configure(name, value)?;
        } else {
            check_name::<D>(name, registry)?;
            // Keeps an eye on repeated names and control characters.
            seen.configure(name, value.clone())?;
            query.push(format!("{}={}", percent_encoded(name), percent_encoded(&value.to_string())));
        }
    }
    Ok(Source { place: place::<D>(keys)?, query: query.join("&") })
}

fn check_name<D: Driver>(name: &str, registry: &Registry<()>) -> Result<()> {
    let is_known =
        D::NAMES.contains(&name) || (D::TAKES_OPTIONS && name.starts_with("options[") && name.ends_with(']'));
    match name {
        "" => Ok(()),
        "hostaddr" | "socket" => Err(configuration(format!(
            "`{name}` would lead to another place than the certificate names, and sqlx verifies the name that it dials: leave it out, or take wrapper-pg or wrapper-mysql, which keep the two apart"
        ))),
        "host" | "port" | "user" | "password" | "dbname" | "database" => Err(configuration(format!(
            "`{name}` stands in the URL before the query: {}://user@host:port/database",
            D::SCHEMES[0]
        ))),
        _ if is_known => Ok(()),
        _ => Err(registry.unknown_parameter(name, D::NAMES)),
    }
}

/// Takes apart `scheme://user:password@host:port/database`.
fn keys<D: Driver>(url: &str) -> Result<Parameters> {
    let form = || {
        configuration(format!(
            "the URL cannot be read: it is {}://user@host/database?name=value",
            D::SCHEMES[0]
        ))
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
    if !D::SCHEMES.contains(&scheme) {
        return Err(form());
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains(['@', '?']) || authority.contains('?') {
        return Err(configuration(
            "a `/`, `?` or `@` stands where it ends a piece of the URL: write them %2F, %3F and %40 in user, password and values",
        ));
    }
    let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host_port.contains(',') {
        return Err(configuration(
            "several hosts are named, and sqlx connects to one: take wrapper-pg for several",
        ));
    }
    let (user, password) = match user_info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user_info, None),
    };
    let (host, port) = match host_port.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or_else(form)?;
            (host, rest.strip_prefix(':'))
        }
        None => match host_port.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        },
    };
    let mut keys = Parameters::new();
    let pieces = [
        ("host", Some(host)),
        ("port", port),
        ("user", Some(user)),
        ("password", password),
        ("database", Some(database).filter(|database| !database.is_empty())),
    ];
    for (name, piece) in pieces {
        if let Some(piece) = piece {
            let text = String::from_utf8(percent_decoded(piece)).map_err(|_| {
                configuration(format!("the {name} in the URL is not UTF-8 once it is decoded"))
            })?;
            keys.configure(name, text)?;
        }
    }
    Ok(keys)
}

fn place<D: Driver>(mut keys: Parameters) -> Result<Place> {
    let mut take = |name| keys.remove(name).map(|value| value.to_string());
    let form = |what: &str| configuration(format!("{what}, as in {}://user@host/database", D::SCHEMES[0]));
    let named = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let host = named(take("host")).ok_or_else(|| form("no host: name one"))?;
    let user = named(take("user")).ok_or_else(|| form("no user: name the database user"))?;
    let port = match take("port") {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
            let port: String = port.chars().take(64).collect();
            configuration(format!(
                "`port` must be a whole number from 1 to 65535, not `{}`",
                port.escape_debug()
            ))
        })?,
        None => D::DEFAULT_PORT,
    };
    if take("password").is_some() {
        tracing::warn!("the configured password is ignored: the token takes its place");
    }
    Ok(Place { host, port, user, database: named(take("database")) })
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
