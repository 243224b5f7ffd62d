//! What a proxy is to do, from its arguments or its file.

use std::{collections::HashSet, env, net::SocketAddr, path::PathBuf};

use host_pattern::Endpoint;
use wrapper_core::text::is_name;

use super::{file, local_password::Chosen};
use crate::{
    cli::{ListenAt, ProxyArguments, ProxyOptions},
    connection::{from_environment, missing_database, with_parameter},
    failure::Failure,
    target::split_parameters,
};

/// What a proxy is to do.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) targets: Vec<TargetSettings>,
    pub(super) options: ProxyOptions,
}

/// One target.
#[derive(Debug)]
pub(super) struct TargetSettings {
    pub(super) name: String,
    /// Its connection string, with `plugins=iam` where it names no plugins.
    pub(super) text: String,
    pub(super) listen: Vec<ListenAt>,
}

impl Settings {
    pub(super) fn read(arguments: &ProxyArguments) -> Result<Self, Failure> {
        let settings = match &arguments.config {
            Some(path) => file::read(path)?,
            None => Self::of(arguments)?,
        };
        let mut names = HashSet::new();
        if let Some(target) = settings.targets.iter().find(|target| !names.insert(&target.name)) {
            return Err(Failure::usage(format!("two targets are called `{}`: name them apart", target.name)));
        }
        if settings.options.expose_to_network && settings.options.no_local_password {
            return Err(Failure::usage(
                "an address that other machines reach needs a local password: leave out --no-local-password",
            ));
        }
        Ok(settings)
    }

    fn of(arguments: &ProxyArguments) -> Result<Self, Failure> {
        let mut urls = arguments.urls.clone();
        if urls.is_empty() {
            urls.push(from_environment()?.ok_or_else(missing_database)?);
        }
        if !arguments.listen.is_empty() && arguments.listen.len() != urls.len() {
            return Err(Failure::usage(format!(
                "--listen is given {} times for {} connection strings: give it once for each, in their order",
                arguments.listen.len(),
                urls.len()
            )));
        }
        let mut targets: Vec<TargetSettings> = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let name = name_of(url, index, &targets);
            let listen = arguments.listen.get(index).cloned();
            targets.push(TargetSettings::new(name, url, listen.into_iter().collect())?);
        }
        Ok(Self { targets, options: arguments.options.clone() })
    }

    /// Chooses the password of the ports, if there are any.
    pub(super) fn local_password(&self) -> Result<Chosen, Failure> {
        let mut places = self.targets.iter().flat_map(|target| &target.listen);
        if !places.any(|place| matches!(place, ListenAt::Address(_))) {
            return Ok(Chosen::None);
        }
        if self.options.no_local_password {
            tracing::warn!("every account of this machine may use the ports: --no-local-password");
            return Ok(Chosen::None);
        }
        Chosen::read(self.options.local_password_file.as_deref())
    }
}

impl TargetSettings {
    /// Fills in what is left out.
    pub(super) fn new(name: String, text: &str, mut listen: Vec<ListenAt>) -> Result<Self, Failure> {
        let mut text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned();
        // What cannot be taken apart is refused by the target, in its own words.
        if split_parameters(&text).is_ok_and(|(_, ours)| !ours.iter().any(|(name, _)| name == "plugins")) {
            text = with_parameter(text, "plugins", "iam");
        }
        if listen.is_empty() {
            listen.push(ListenAt::Folder(folder_for(&name)?));
        }
        Ok(Self { name, text, listen })
    }

    /// Returns whether the connection string holds a password.
    pub(super) fn has_password(&self) -> bool {
        let user_info = self.text.split_once("://").and_then(|(_, rest)| {
            let authority = rest.split(['/', '?']).next().unwrap_or(rest);
            // A password with a raw `/` or `?` ends the authority too early.
            authority.rsplit_once('@').or_else(|| rest.rsplit_once('@'))
        });
        user_info.is_some_and(|(user_info, _)| user_info.contains(':'))
    }
}

/// Returns the address of health and metrics.
pub(super) fn admin(arguments: &ProxyArguments) -> Result<SocketAddr, Failure> {
    let admin = match &arguments.config {
        Some(path) => file::read(path)?.options.admin,
        None => arguments.options.admin,
    };
    admin.ok_or_else(|| Failure::usage("--wait-ready asks at the address of --admin: add it"))
}

/// Returns the first label of a host, made different from the names before it.
fn name_of(url: &str, index: usize, before: &[TargetSettings]) -> String {
    let host = split_parameters(url).ok().and_then(|(rest, _)| {
        let (_, rest) = rest.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let (_, host) = authority.rsplit_once('@')?;
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        // Any word parses as a custom domain; a password with a raw `@` must not become a name.
        let endpoint = Endpoint::parse(host).ok()?;
        endpoint.region()?;
        host.split('.').next().map(str::to_lowercase)
    });
    let name = host.filter(|name| is_name(name)).unwrap_or_else(|| format!("target-{}", index + 1));
    match before.iter().any(|target| target.name == name) {
        true => format!("{name}-{}", index + 1),
        false => name,
    }
}

/// Returns a folder of our own for a socket, where the system has a place for such things.
fn folder_for(name: &str) -> Result<PathBuf, Failure> {
    // The first is systemd's, and may be several.
    let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let place = given("RUNTIME_DIRECTORY").or_else(|| given("XDG_RUNTIME_DIR"));
    match place.as_deref().and_then(|place| place.split(':').next()) {
        Some(place) => Ok(PathBuf::from(place).join(format!("rds-iam-{name}"))),
        None => Err(Failure::usage(format!(
            "{name}: XDG_RUNTIME_DIR names no place for a socket: say where to listen, as in --listen 6432 \
             or --listen /run/db"
        ))),
    }
}
