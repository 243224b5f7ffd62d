//! Where a pool connects to, read from a URL or a map.

use wrapper_adapter::{
    ConnectionText, DriverNames, SplitParameters, StringForm, UrlParts, UserInfoEnd, check_host,
    flat_entries, percent_decoded, percent_encoded, split_url, user_with_colon,
};
use wrapper_core::{Error, ErrorKind, Registry, Result, Value, adapter::RawParameters};

use crate::engine::sealed::Driver;

/// The host, port, user and database of a configuration.
#[derive(Clone, Debug)]
pub struct ConnectTarget {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: Option<String>,
}

/// A configuration taken apart: where to connect to, and the driver's own options as they stood in
/// the query.
pub(crate) struct Source {
    pub(crate) server: ConnectTarget,
    pub(crate) query: String,
}

/// Keys of the map form, and names that sqlx would take from a URL's query as well.
const KEYS: &[&str] = &["host", "port", "user", "database", "password"];

/// How other tools call the pieces before the query.
const ELSEWHERE: &[(&str, &str)] =
    &[("databaseName", "database"), ("db", "database"), ("dbname", "database"), ("schema", "database")];

/// Reads a URL; our parameters go to `given`.
pub(crate) fn read_url<D: Driver>(
    url: &str,
    registry: &Registry<()>,
    given: &mut RawParameters,
    needs_user: bool,
) -> Result<Source> {
    let engine = if D::SCHEMES[0] == "mysql" { "MySQL" } else { "PostgreSQL" };
    // Pairs are refused by the form.
    let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) =
        StringForm::new(engine, D::SCHEMES, false).with_maps().read(url)?;
    let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
    let server = connect_target::<D>(keys(&parts)?, needs_user)?;
    let SplitParameters { rest, pairs, others } = split_url(url, |name| registry.declares(name))?;
    others.iter().try_for_each(|name| check_name::<D>(name, registry, Some(&parts)))?;
    for (name, value) in pairs {
        given.configure(&name, value)?;
    }
    // The rest of the URL is the driver's, byte for byte.
    let behind = match parts.user_info {
        Some(_) => rest.split_once('@').map_or("", |(_, rest)| rest),
        None => &rest,
    };
    let query = behind.split_once('?').map_or("", |(_, query)| query);
    Ok(Source { server, query: query.to_owned() })
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<D: Driver>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<()>,
    given: &mut RawParameters,
    needs_user: bool,
) -> Result<Source> {
    let names: Vec<_> = D::NAMES.iter().chain(KEYS).copied().collect();
    driver_names::<D>(&names).check_elsewhere(registry, &pairs)?;
    let mut keys = RawParameters::new();
    let mut seen = RawParameters::new();
    let mut query = Vec::new();
    for (name, value) in flat_entries(pairs, given)? {
        let name = name.as_str();
        if registry.declares(name) {
            given.configure_from_map(name, value)?;
            continue;
        }
        let text = value.single(name)?;
        if KEYS.contains(&name) {
            keys.configure(name, value)?;
        } else {
            check_name::<D>(name, registry, None)?;
            // Keeps an eye on repeated names and control characters.
            seen.configure(name, value)?;
            query.push(format!("{}={}", percent_encoded(name), percent_encoded(&text)));
        }
    }
    Ok(Source { server: connect_target::<D>(keys, needs_user)?, query: query.join("&") })
}

/// Checks a name that is not ours; `url` is given where it stands in a query.
fn check_name<D: Driver>(name: &str, registry: &Registry<()>, url: Option<&UrlParts<'_>>) -> Result<()> {
    let is_known =
        D::NAMES.contains(&name) || (D::TAKES_OPTIONS && name.starts_with("options[") && name.ends_with(']'));
    if is_known {
        return Ok(());
    }
    if ["hostaddr", "socket"].contains(&name) {
        return Err(configuration(format!(
            "`{name}` would lead to another place than the certificate names, and sqlx verifies the name \
             that it dials: leave it out, or take wrapper-pg or wrapper-mysql, which keep the two apart"
        )));
    }
    let names: Vec<_> = D::NAMES.iter().chain(KEYS).copied().collect();
    let driver = driver_names::<D>(&names);
    let Some(parts) = url else { return Err(driver.unknown(registry, name)) };
    let meant = if KEYS.contains(&name) { Some(name) } else { driver.suggest(registry, name) };
    // A typo of `password` is named as what it is.
    if let Some(key) = meant.filter(|key| KEYS.contains(key) && (*key == name || *key != "password")) {
        return Err(configuration(format!(
            "`{key}` stands in the URL before the query: {}://user@host:port/database",
            D::SCHEMES[0]
        )));
    }
    Err(match parts.is_doubtful(name) {
        true => driver.unknown_in_doubt(registry, name),
        false => driver.unknown(registry, name),
    })
}

fn driver_names<'a, D: Driver>(names: &'a [&'a str]) -> DriverNames<'a> {
    DriverNames { names, known_elsewhere: ELSEWHERE, engine: Some(D::ENGINE) }
}

/// Returns the keys of a map in the pieces of a URL.
fn keys(parts: &UrlParts<'_>) -> Result<RawParameters> {
    if parts.hosts.contains(',') {
        return Err(configuration(
            "several hosts are named, and sqlx connects to one: take wrapper-pg for several".to_owned(),
        ));
    }
    let user_info = parts.user_info.unwrap_or_default();
    let (user, password) = match user_info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user_info, None),
    };
    let (host, port) = match parts.hosts.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match parts.hosts.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (parts.hosts, None),
        },
    };
    let mut keys = RawParameters::new();
    let pieces = [
        ("host", Some(host)),
        ("port", port),
        ("user", Some(user)),
        ("password", password),
        ("database", Some(parts.path).filter(|database| !database.is_empty())),
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

fn connect_target<D: Driver>(mut keys: RawParameters, needs_user: bool) -> Result<ConnectTarget> {
    let mut take = |name| keys.remove(name).and_then(|value| value.text());
    let form = |what: &str| configuration(format!("{what}, as in {}://user@host/database", D::SCHEMES[0]));
    let named = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let host = named(take("host")).ok_or_else(|| form("no host: name one"))?;
    check_host(&host)?;
    let user = match named(take("user")) {
        Some(user) => user,
        None if needs_user => return Err(form("no user: name the database user")),
        None => String::new(),
    };
    if user.contains("://") {
        return Err(configuration(
            "`user` holds a URL: write the URL alone, as the connection string".to_owned(),
        ));
    }
    if user.contains(':') {
        return Err(user_with_colon());
    }
    let port = match take("port") {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
            let shown = if port.parse::<i32>().is_ok() { format!(", not `{port}`") } else { String::new() };
            configuration(format!("`port` must be a whole number from 1 to 65535{shown}"))
        })?,
        None => D::DEFAULT_PORT,
    };
    if take("password").is_some() {
        tracing::warn!("the configured password is ignored: a plugin gives another in its place");
    }
    let database = named(take("database"));
    if database.as_ref().is_some_and(|database| database.contains("://")) {
        return Err(configuration(
            "`database` holds a URL: write the URL alone, as the connection string".to_owned(),
        ));
    }
    Ok(ConnectTarget { host, port, user, database })
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
