//! The target of a pool, read from a URL or a map.

use wrapper_adapter::{
    ConnectKeys, ConnectionText, DriverNames, SplitParameters, StringForm, UrlParts, UserInfoEnd,
    flat_entries, percent_encoded, split_url, warn_of_ignored_password,
};
use wrapper_core::{ConnectRequest, Error, ErrorKind, Registry, Result, Value, adapter::RawParameters};

use crate::engine::sealed::Driver;

/// A configuration split in two: the target, and the query with the driver's own options.
pub(crate) struct Source {
    pub(crate) server: ConnectRequest,
    pub(crate) query: String,
}

/// Names of other tools for the pieces before the query.
const ELSEWHERE: &[(&str, &str)] =
    &[("databaseName", "database"), ("db", "database"), ("dbname", "database"), ("schema", "database")];

/// Reads a URL; our parameters go to `given`.
pub(crate) fn read_url<D: Driver>(
    url: &str,
    registry: &Registry<()>,
    given: &mut RawParameters,
    needs_user: bool,
) -> Result<Source> {
    // Pairs are refused by the form.
    let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) = form::<D>().read(url)?;
    let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
    if parts.hosts.contains(',') {
        return Err(configuration(
            "several hosts are named, but sqlx connects to one: use wrapper-pg for several".to_owned(),
        ));
    }
    let server = server::<D>(&ConnectKeys::of_url(&parts)?, needs_user)?;
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
    let names: Vec<_> = D::NAMES.iter().chain(ConnectKeys::NAMES).copied().collect();
    driver_names::<D>(&names).check_elsewhere(registry, &pairs)?;
    let mut keys = ConnectKeys::default();
    let mut seen = RawParameters::new();
    let mut query = Vec::new();
    for (name, value) in flat_entries(pairs, given)? {
        let name = name.as_str();
        if registry.declares(name) {
            given.configure_from_map(name, value)?;
            continue;
        }
        let text = value.single(name)?;
        let is_key = ConnectKeys::NAMES.contains(&name);
        if !is_key {
            check_name::<D>(name, registry, None)?;
        }
        // Detects repeated names and control characters.
        seen.configure(name, value)?;
        if is_key {
            keys.set(name, text)?;
        } else {
            query.push(format!("{}={}", percent_encoded(name), percent_encoded(&text)));
        }
    }
    Ok(Source { server: server::<D>(&keys, needs_user)?, query: query.join("&") })
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
            "`{name}` would lead to another address than the certificate's name, but sqlx verifies the name \
             that it dials: leave it out, or use wrapper-pg or wrapper-mysql, which keep the two apart"
        )));
    }
    let names: Vec<_> = D::NAMES.iter().chain(ConnectKeys::NAMES).copied().collect();
    let driver = driver_names::<D>(&names);
    let Some(parts) = url else { return Err(driver.unknown(registry, name)) };
    let meant = if ConnectKeys::NAMES.contains(&name) { Some(name) } else { driver.suggest(registry, name) };
    // A typo of `password` is named as what it is.
    if let Some(key) =
        meant.filter(|key| ConnectKeys::NAMES.contains(key) && (*key == name || *key != "password"))
    {
        return Err(configuration(format!(
            "`{key}` belongs before the query of the URL: {}://user@host:port/database",
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

/// Returns the URLs that the engine's pools are built from.
pub(crate) fn form<D: Driver>() -> StringForm {
    let engine = if D::SCHEMES[0] == "mysql" { "MySQL" } else { "PostgreSQL" };
    StringForm::new(engine, D::SCHEMES, false).with_maps()
}

fn server<D: Driver>(keys: &ConnectKeys, needs_user: bool) -> Result<ConnectRequest> {
    let server = keys.request(D::ENGINE, &form::<D>())?;
    if needs_user && server.user().is_empty() {
        let example = form::<D>().example();
        return Err(configuration(format!("missing user: name the database user, as in {example}")));
    }
    if keys.password().is_some() {
        warn_of_ignored_password();
    }
    Ok(server)
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
