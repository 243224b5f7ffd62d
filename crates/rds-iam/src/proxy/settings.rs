//! A proxy's settings, from its arguments or its file.

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

/// The settings of a proxy.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) targets: Vec<TargetSettings>,
    pub(super) options: ProxyOptions,
}

/// The settings of one target.
#[derive(Debug)]
pub(super) struct TargetSettings {
    pub(super) name: String,
    /// The connection string; `plugins=iam` is added if it names no plugins.
    pub(super) text: String,
    pub(super) listen: Vec<ListenAt>,
}

impl Settings {
    pub(super) fn read(arguments: &ProxyArguments) -> Result<Self, Failure> {
        let settings = match &arguments.config {
            Some(path) => file::read(path)?,
            None => Self::of(arguments)?,
        };
        // Names are labels of the metrics, where two targets of one name would merge.
        let mut names = HashSet::new();
        if let Some(target) = settings.targets.iter().find(|target| !names.insert(&target.name)) {
            return Err(Failure::usage(format!(
                "two targets have the name `{}`: choose another for one of them",
                target.name
            )));
        }
        if settings.options.expose_to_network && settings.options.no_local_password {
            return Err(Failure::usage(
                "--expose-to-network needs a local password: remove --no-local-password",
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
                "--listen is given {} times for {} connection strings: give it once for each, in the \
                 same order",
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

    /// Chooses the password of the ports; without a port there is none.
    pub(super) fn local_password(&self) -> Result<Chosen, Failure> {
        let mut places = self.targets.iter().flat_map(|target| &target.listen);
        if !places.any(|place| matches!(place, ListenAt::Address(_))) {
            return Ok(Chosen::None);
        }
        if self.options.no_local_password {
            tracing::warn!("every account of this machine can use the ports: --no-local-password");
            return Ok(Chosen::None);
        }
        Chosen::read(self.options.local_password_file.as_deref())
    }
}

impl TargetSettings {
    /// Completes a target: adds the `iam` plugin and a folder to listen in, if they are missing.
    pub(super) fn new(name: String, text: &str, mut listen: Vec<ListenAt>) -> Result<Self, Failure> {
        let mut text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned();
        // A string that cannot be parsed is left to the target, which reports the reason.
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

/// Returns the admin address of the proxy to wait for.
pub(super) fn admin(arguments: &ProxyArguments) -> Result<SocketAddr, Failure> {
    let admin = match &arguments.config {
        Some(path) => file::read(path)?.options.admin,
        None => arguments.options.admin,
    };
    admin.ok_or_else(|| Failure::usage("--wait-ready needs the address of the proxy: add --admin"))
}

/// Names a target by the first label of its host, unlike the targets before it.
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

/// Returns the default folder of a target's socket, in the runtime directory.
fn folder_for(name: &str) -> Result<PathBuf, Failure> {
    // RUNTIME_DIRECTORY is set by systemd, and can be a list.
    let given = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let place = given("RUNTIME_DIRECTORY").or_else(|| given("XDG_RUNTIME_DIR"));
    match place.as_deref().and_then(|place| place.split(':').next()) {
        Some(place) => Ok(PathBuf::from(place).join(format!("rds-iam-{name}"))),
        None => Err(Failure::usage(format!(
            "{name}: XDG_RUNTIME_DIR is not set, so the socket has no default folder: pass --listen, as in \
             --listen 6432 or --listen /run/db"
        ))),
    }
}
