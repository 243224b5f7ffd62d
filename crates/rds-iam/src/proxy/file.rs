//! The configuration file of a proxy.

use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{Table, Value};
use wrapper_adapter::percent_encoded;
use wrapper_core::text::{is_name, quoted_name, suggest};

use super::settings::{Settings, TargetSettings};
use crate::{
    cli::{ListenAt, ProxyOptions, place},
    connection::with_parameter,
    failure::Failure,
};

/// Reads a file. Errors name the file and the line or key, and show no value: it may be secret.
pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    let unreadable =
        |error| Failure::usage(format!("cannot read the configuration {}", path.display())).because(error);
    // Mode and text are read from one descriptor, so they are of the same file.
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    let text = io::read_to_string(file).map_err(unreadable)?;
    let settings =
        settings(&text).map_err(|message| Failure::usage(format!("{}: {message}", path.display())))?;
    if mode & 0o007 != 0
        && let Some(target) = settings.targets.iter().find(|target| target.has_password())
    {
        tracing::warn!(
            "every account of this machine can read {} (mode {mode:o}), which holds the password of target \
             `{}`: run chmod 600 on it",
            path.display(),
            target.name
        );
    }
    Ok(settings)
}

fn settings(text: &str) -> Result<Settings, String> {
    // The parser's own message repeats the line, which may hold a password.
    let table = text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {} is not valid TOML", before.matches('\n').count() + 1)
    })?;
    let mut keys = Keys { table, known: Vec::new() };
    let options = ProxyOptions {
        expose_to_network: keys.flag("expose-to-network")?,
        allow_uid: keys.list("allow-uid", "a number, or a list of them", id)?,
        allow_gid: keys.list("allow-gid", "a number, or a list of them", id)?,
        local_password_file: keys.text("local-password-file")?.map(PathBuf::from),
        no_local_password: keys.flag("no-local-password")?,
        max_connections: keys.take("max-connections", "a whole number from 1 to 1000000", |value| {
            id(value).filter(|most| (1..=1_000_000).contains(most))
        })?,
        drain_timeout: keys.take("drain-timeout", "whole seconds from 1 to 86400", |value| {
            id(value).filter(|most| (1..=86_400).contains(most)).map(|most| Duration::from_secs(most.into()))
        })?,
        admin: keys.take("admin", "an address as in \"127.0.0.1:9090\"", |value| {
            value.as_str()?.parse::<SocketAddr>().ok()
        })?,
        lazy: keys.flag("lazy")?,
    };
    if options.no_local_password && options.local_password_file.is_some() {
        return Err("`local-password-file` and `no-local-password` cannot be used together".to_owned());
    }
    let targets =
        keys.list("target", "tables, each begun by [[target]]", |value| value.as_table().cloned())?;
    keys.finish()?;
    if targets.is_empty() {
        return Err("missing target: add a [[target]] section".to_owned());
    }
    let targets = targets
        .into_iter()
        .enumerate()
        .map(|(index, table)| target(table).map_err(|message| format!("target {}: {message}", index + 1)));
    Ok(Settings { targets: targets.collect::<Result<_, _>>()?, options })
}

fn id(value: &Value) -> Option<u32> {
    value.as_integer().and_then(|number| number.try_into().ok())
}

fn target(table: Table) -> Result<TargetSettings, String> {
    let mut keys = Keys { table, known: Vec::new() };
    let name = keys.text("name")?.ok_or("missing `name`, which metrics and messages use")?;
    if !is_name(&name) {
        return Err("invalid `name`: use letters, digits, `-`, `_` and `.`".to_owned());
    }
    let listen = keys.list("listen", "a port, an address or a folder, or a list of them", listen_at)?;
    let url = keys.text("url")?;
    let host = keys.text("host")?;
    let text = match (url, host) {
        (Some(url), None) => url,
        (None, Some(host)) => keys.url_of(&host)?,
        (Some(_), Some(_)) => return Err("`url` and `host` cannot be used together".to_owned()),
        (None, None) => return Err("missing `url` or `host`: name the server".to_owned()),
    };
    let text = keys.parameters(text)?;
    TargetSettings::new(name, &text, listen).map_err(|failure| failure.to_string())
}

fn listen_at(value: &Value) -> Option<ListenAt> {
    match value {
        Value::Integer(port) => place(&port.to_string()).ok(),
        Value::String(text) => place(text).ok(),
        _ => None,
    }
}

/// The keys of a table; each is taken once, and the rest are unknown.
struct Keys {
    table: Table,
    known: Vec<&'static str>,
}

impl Keys {
    fn take<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.known.push(name);
        let Some(value) = self.table.remove(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| format!("`{name}` takes {expected}"))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        self.take(name, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, String> {
        self.take(name, "true or false", Value::as_bool).map(Option::unwrap_or_default)
    }

    /// Returns one value, or a list of them.
    fn list<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        let all = |value: &Value| match value {
            Value::Array(values) => values.iter().map(&read).collect(),
            value => read(value).map(|value| vec![value]),
        };
        self.take(name, expected, all).map(Option::unwrap_or_default)
    }

    /// Builds a connection string from the keys of a map.
    fn url_of(&mut self, host: &str) -> Result<String, String> {
        let engine = self.take("engine", "\"postgres\" or \"mysql\"", |value| match value.as_str()? {
            "postgres" | "postgresql" => Some("postgres"),
            "mysql" | "mariadb" => Some("mysql"),
            _ => None,
        })?;
        let user = self.text("user")?.ok_or("missing `user`: name the user to log in as")?;
        let port = self.take("port", "a number from 1 to 65535", |value| {
            id(value).filter(|port| (1..=65_535).contains(port))
        })?;
        let password = self.text("password")?.map(|password| format!(":{}", percent_encoded(&password)));
        let database = self.text("database")?.map(|name| percent_encoded(&name)).unwrap_or_default();
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("[{host}]"),
            _ => percent_encoded(host),
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, user) = (engine.unwrap_or("postgres"), percent_encoded(&user));
        let password = password.unwrap_or_default();
        Ok(format!("{scheme}://{user}{password}@{host}{port}/{database}"))
    }

    /// Adds the remaining keys, which are parameters of the chain, to a connection string.
    fn parameters(self, mut text: String) -> Result<String, String> {
        for (name, value) in self.table {
            if let Some(meant) = suggest(&name, self.known.iter().copied()) {
                return Err(format!("{} is unknown: did you mean `{meant}`?", quoted_name(&name)));
            }
            let written = match &value {
                Value::Array(values) => values.iter().map(written).collect::<Option<Vec<_>>>(),
                value => written(value).map(|value| vec![value]),
            };
            let Some(written) = written.filter(|_| is_name(&name)) else {
                return Err(format!("{} takes text, a number, true or false, or a list", quoted_name(&name)));
            };
            text = with_parameter(text, &name, &written.join(","));
        }
        Ok(text)
    }

    /// Refuses the remaining keys.
    fn finish(self) -> Result<(), String> {
        let Some((name, _)) = self.table.iter().next() else { return Ok(()) };
        let hint = match suggest(name, self.known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", self.known.join(", ")),
        };
        Err(format!("{} is unknown: {hint}", quoted_name(name)))
    }
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        settings(text).expect_err("is refused")
    }

    #[test]
    fn file_has_every_option_and_targets_of_both_forms() {
        let text = r#"
            admin = "127.0.0.1:9090"
            allow-uid = [1001, 1002]
            allow-gid = 7
            drain-timeout = 5
            lazy = true
            local-password-file = "/etc/p"
            max-connections = 9

            [[target]]
            name = "orders"
            url = "postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/orders"
            listen = [6432, "/run/orders"]

            [[target]]
            name = "sales"
            host = "::1"
            port = 6000
            user = "o'hara@x"
            database = "a b"
            plugins = ["iam", "failover2"]
            iamRegion = "us-east-2"
            iamTokenExpiration = 60
            listen = "127.0.0.1:0"
        "#;

        let Settings { targets, options } = settings(text).expect("is right");

        assert_eq!((options.allow_uid, options.allow_gid), (vec![1001, 1002], vec![7]));
        assert_eq!((options.max_connections, options.lazy), (Some(9), true));
        assert_eq!(options.drain_timeout, Some(Duration::from_secs(5)));
        assert_eq!(options.local_password_file, Some("/etc/p".into()));
        assert_eq!(options.admin, Some("127.0.0.1:9090".parse().expect("an address")));
        assert_eq!(
            targets[0].text,
            "postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/orders?plugins=iam"
        );
        let listen = [place("6432").expect("a port"), ListenAt::Folder("/run/orders".into())];
        assert_eq!(targets[0].listen, listen);
        assert_eq!(
            targets[1].text,
            "postgres://o%27hara%40x@[::1]:6000/a%20b?iamRegion=us-east-2&iamTokenExpiration=60&plugins=iam%2Cfailover2"
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_a_hint() {
        assert_eq!(
            refused("max_conections = 1"),
            "`max_conections` is unknown: did you mean `max-connections`?"
        );
        assert!(refused("colour = 1").starts_with("`colour` is unknown: there are expose-to-network, "));
        let target = "[[target]]\nname = 'a'\nlisten = 1\n";
        assert_eq!(
            refused(&format!("{target}url = 'postgres://jane@h/app'\nlisen = 2")),
            "target 1: `lisen` is unknown: did you mean `listen`?"
        );
        assert!(refused(&format!("{target}host = 'h'\nusr = 'jane'")).contains("missing `user`"));
    }

    #[test]
    fn values_are_never_shown() {
        for (text, expected) in [
            ("admin = 'geheim'", "`admin` takes an address"),
            ("max-connections = 'geheim'", "`max-connections` takes a whole number"),
            ("lazy = 'geheim'", "`lazy` takes true or false"),
            ("drain-timeout = 0", "`drain-timeout` takes whole seconds from 1"),
            ("allow-uid = ['geheim']", "`allow-uid` takes a number"),
            ("a = 1\nb = geheim", "line 2 is not valid TOML"),
            ("target = 'geheim'", "`target` takes tables"),
            ("", "missing target"),
            ("[[target]]", "missing `name`"),
            ("[[target]]\nname = 'a/geheim'", "invalid `name`: use letters"),
            ("[[target]]\nname = 'a'\nlisten = 'geheim'", "`listen` takes a port"),
            ("[[target]]\nname = 'a'\nlisten = 1", "name the server"),
            ("[[target]]\nname = 'a'\nlisten = 1\nurl = 'x'\nhost = 'y'", "cannot be used together"),
            ("[[target]]\nname = 'a'\nlisten = 1\nurl = 'x'\n'ge heim' = 1", "takes text"),
            ("[[target]]\nname = 'a'\nlisten = 1\nurl = 'x'\nextra = { a = 'geheim' }", "`extra` takes text"),
            ("no-local-password = true\nlocal-password-file = 'geheim'", "cannot be used together"),
        ] {
            let message = refused(text);
            assert!(message.contains(expected) && !message.contains("geheim"), "{text}: {message}");
        }
    }
}
