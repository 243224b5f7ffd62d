//! Where a configuration comes from: a string, a map, or the driver's own type.

use tokio_postgres::Config;
use wrapper_adapter::{
    ConnectionText, DriverNames, SplitParameters, StringForm, UrlParts, UserInfoEnd, check_login,
    flat_entries, split_key_value, split_url,
};
use wrapper_core::{Engine, Error, ErrorKind, Registry, Result, Value, adapter::RawParameters};

/// The strings that the driver reads.
pub(crate) const FORM: StringForm =
    StringForm::new("PostgreSQL", &["postgres", "postgresql"], true).with_maps();

/// The names that the driver understands.
const DRIVER: DriverNames<'_> = DriverNames {
    names: &[
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
    ],
    known_elsewhere: &[
        ("ApplicationName", "application_name"),
        ("catalog", "dbname"),
        ("database", "dbname"),
        ("databaseName", "dbname"),
        ("db", "dbname"),
        ("targetServerType", "target_session_attrs"),
    ],
    engine: Some(Engine::Postgres),
};

/// Reads a connection string of either form; our parameters go to `given`.
pub(crate) fn read_string<C>(
    text: &str,
    registry: &Registry<C>,
    given: &mut RawParameters,
) -> Result<Config> {
    let is_ours = |name: &str| registry.declares(name);
    let text = FORM.read(text)?;
    let cut = match text {
        ConnectionText::Url(url) => {
            let parts = UrlParts::of(url, UserInfoEnd::FirstAt)?;
            let cut = split_url(url, is_ours)?;
            check_twice(&parts, &cut.others)?;
            cut
        }
        ConnectionText::Pairs(pairs) => split_key_value(pairs, is_ours)?,
    };
    let SplitParameters { rest, pairs, others } = cut;
    for (name, value) in pairs {
        given.configure(&name, value)?;
    }
    let unknown = |name: &str| unknown(text, name, &others, registry);
    let config: Config = rest.parse().map_err(|error| driver_error(error, unknown))?;
    check(&config)?;
    Ok(config)
}

/// Returns an error for a name that the driver does not know, which is shown only if it cannot be a
/// piece of a password.
fn unknown<C>(text: ConnectionText<'_>, name: &str, others: &[String], registry: &Registry<C>) -> Error {
    let is_doubtful = match text {
        ConnectionText::Url(url) => {
            UrlParts::of(url, UserInfoEnd::FirstAt).is_ok_and(|parts| parts.is_doubtful(name))
        }
        ConnectionText::Pairs(_) if !others.iter().any(|name| DRIVER.names.contains(&name.as_str())) => {
            return configuration(format!("this is not a connection string: write {}", FORM.example()));
        }
        ConnectionText::Pairs(pairs) => is_after_password(pairs, name),
    };
    match is_doubtful {
        true => DRIVER.unknown_in_doubt(registry, name),
        false => DRIVER.unknown(registry, name),
    }
}

/// Reads a map; our parameters go to `given`.
pub(crate) fn read_map<C>(
    pairs: Vec<(String, Value)>,
    registry: &Registry<C>,
    given: &mut RawParameters,
) -> Result<Config> {
    DRIVER.check_elsewhere(registry, &pairs)?;
    let mut driver = String::new();
    let mut seen = RawParameters::new();
    for (name, value) in flat_entries(pairs, given)? {
        let name = if name == "database" { "dbname" } else { name.as_str() };
        if registry.declares(name) {
            given.configure_from_map(name, value)?;
            continue;
        }
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '=') {
            return Err(DRIVER.unknown(registry, name));
        }
        let text = match name {
            // The driver takes lists of these.
            "host" | "hostaddr" | "port" => value.several(name)?,
            _ => value.single(name)?,
        };
        // Keeps an eye on repeated names and control characters.
        seen.configure(name, value)?;
        // Quoted as libpq does: https://www.postgresql.org/docs/current/libpq-connect.html
        let text = text.replace('\\', "\\\\").replace('\'', "\\'");
        driver.push_str(&format!("{name}='{text}' "));
    }
    let config: Config =
        driver.parse().map_err(|error| driver_error(error, |name| DRIVER.unknown(registry, name)))?;
    check(&config)?;
    Ok(config)
}

/// Returns what the driver takes from two places of a URL, of which the last wins without a word.
fn check_twice(parts: &UrlParts<'_>, names: &[String]) -> Result<()> {
    let has_password = parts.user_info.is_some_and(|info| info.contains(':'));
    let places = [
        ("user", parts.user_info.is_some_and(|info| !info.is_empty()), "before `@`"),
        ("password", has_password, "before `@`"),
        ("host", !parts.hosts.is_empty(), "behind `@`"),
        ("port", !parts.hosts.is_empty(), "behind the host"),
        ("dbname", !parts.path.is_empty(), "as its path"),
    ];
    match places.iter().find(|(name, is_given, _)| *is_given && names.iter().any(|given| given == name)) {
        Some((name, _, place)) => Err(configuration(format!(
            "`{name}` belongs {place} in a URL that names {}, and the query names it too: leave it out there",
            if *name == "port" { "a host" } else { "one" }
        ))),
        None => Ok(()),
    }
}

/// Returns whether a name follows a password that may hold an unquoted blank.
fn is_after_password(text: &str, name: &str) -> bool {
    let before = text.find(name).map_or(text, |at| &text[..at]).to_ascii_lowercase();
    ["pass", "pwd"].iter().any(|word| before.contains(word))
}

fn check(config: &Config) -> Result<()> {
    let password = config.get_password().map(String::from_utf8_lossy);
    check_login(config.get_user(), ("dbname", config.get_dbname()), password.as_deref())
}

fn driver_error(error: tokio_postgres::Error, unknown: impl Fn(&str) -> Error) -> Error {
    // The driver's errors tell their kind in their text only.
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let quoted = source.split_once('`').and_then(|(_, rest)| rest.strip_suffix('`')).unwrap_or_default();
    if source.starts_with("unknown option") {
        return unknown(quoted);
    }
    if source.starts_with("invalid value") {
        return configuration(format!("the value of `{quoted}` is not one that the driver takes"));
    }
    configuration(
        "the connection string cannot be read: it is postgres://user@host/database?name=value or \
                   `host=… user=…`",
    )
    .with_source(error)
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
