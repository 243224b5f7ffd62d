//! The command line of `rds-testkit serve`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub(crate) const USAGE: &str = "\
Usage: rds-testkit serve --engine postgres|mysql [options]

Runs a server on 127.0.0.1 that takes IAM tokens for passwords as Amazon RDS does. Prints one line
of JSON when it listens: where, with which certificate and which AWS keys to sign, all made for this
run and good for a day. Ends when standard input closes, on SIGINT, SIGTERM and SIGHUP, or after the
time of --for.

  --engine NAME       postgres or mysql
  --port PORT         the port to listen on; default a free one
  --host NAME         the name to sign for, which the certificate carries; default
                      db.abc123.us-east-2.rds.amazonaws.com
  --region NAME       the region to sign for; default us-east-2
  --user NAME         a user with rds_iam; repeatable; default jane
  --database NAME     a database; repeatable; default: every name is one
  --forward URL       postgres://user:password@127.0.0.1:5432 or mysql://…: a real database that answers
  --forward-remote    lets --forward name another machine, to which everything goes unencrypted
  --for TIME          how long to run, such as 90s, 10m, 1h; default 1h, at most 24h
";

/// The longest run: certificates are valid for a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Engine {
    Mysql,
    Postgres,
}

/// What to run.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Args {
    pub(crate) engine: Engine,
    pub(crate) port: u16,
    pub(crate) host: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) users: Vec<String>,
    pub(crate) databases: Vec<String>,
    pub(crate) forward: Option<Forward>,
    pub(crate) lasts: Duration,
}

/// A database to forward to.
#[derive(Eq, PartialEq)]
pub(crate) struct Forward {
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward")
            .field("address", &self.address)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Args {
    /// Parses the arguments after the program's name; `None` means help.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = args.into_iter();
        match args.next().as_deref() {
            Some("serve") => {}
            None | Some("help" | "--help" | "-h") => return Ok(None),
            Some(_) => return Err("the only command is serve".to_owned()),
        }
        let (mut engine, mut port, mut host, mut region) = (None, 0, None, None);
        let (mut users, mut databases, mut forward, mut is_remote) = (Vec::new(), Vec::new(), None, false);
        let mut lasts = Duration::from_secs(3600);
        while let Some(argument) = args.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || given.clone().or_else(|| args.next()).ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--engine" => engine = Some(parse_engine(&value()?)?),
                "--port" => port = value()?.parse().map_err(|_| "--port is no port".to_owned())?,
                "--host" => host = Some(value()?),
                "--region" => region = Some(value()?),
                "--user" => users.push(value()?),
                "--database" => databases.push(value()?),
                "--forward" => forward = Some(value()?),
                "--forward-remote" => is_remote = true,
                "--for" => lasts = parse_time(&value()?)?,
                _ => return Err("there is an option that is not known".to_owned()),
            }
        }
        let engine = engine.ok_or("--engine is missing: postgres or mysql")?;
        let forward = forward.map(|url| parse_forward(&url, engine, is_remote)).transpose()?;
        Ok(Some(Self { engine, port, host, region, users, databases, forward, lasts }))
    }
}

fn parse_engine(text: &str) -> Result<Engine, String> {
    match text {
        "mysql" | "mariadb" => Ok(Engine::Mysql),
        "postgres" | "postgresql" => Ok(Engine::Postgres),
        _ => Err("--engine is neither postgres nor mysql".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().next_back()),
        None => (text, None),
    };
    let factor = match unit {
        Some('m') => 60,
        Some('h') => 3600,
        _ => 1,
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let time = seconds.map(Duration::from_secs).filter(|time| !time.is_zero() && *time <= LONGEST);
    time.ok_or("--for is no time up to 24h, such as 90s, 10m or 1h".to_owned())
}

/// Parses the URL of a database; no error repeats any of it, because it holds a password.
fn parse_forward(url: &str, engine: Engine, is_remote: bool) -> Result<Forward, String> {
    let (schemes, port): (&[&str], u16) = match engine {
        Engine::Mysql => (&["mysql", "mariadb"], 3306),
        Engine::Postgres => (&["postgres", "postgresql"], 5432),
    };
    let (scheme, rest) =
        url.split_once("://").ok_or("--forward is not a URL, expected postgres://… or mysql://…")?;
    if !schemes.contains(&scheme) {
        return Err("--forward is a URL of another engine than --engine".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, place) = authority.rsplit_once('@').ok_or("--forward names no user")?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let place = if place == "localhost" { "127.0.0.1" } else { place };
    let place = place.strip_prefix("localhost:").map_or(place.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address = place
        .parse::<SocketAddr>()
        .ok()
        .or_else(|| {
            let bare = place.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
        })
        .ok_or("--forward names no IP address and port, nor localhost")?;
    if !address.ip().is_loopback() && !is_remote {
        return Err("--forward names another machine, to which everything would go unencrypted: \
                    --forward-remote allows it"
            .to_owned());
    }
    let decode =
        |text: &str| percent_decode(text).ok_or("--forward has a malformed percent escape".to_owned());
    Ok(Forward { address, user: decode(user)?, password: decode(password)? })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            // Two hexadecimal digits make at most 255.
            decoded.push((digit()? * 16 + digit()?) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn command_line_is_parsed() {
        let args = parse("serve --engine=mysql --port 7 --user a --user b --for 10m").unwrap().unwrap();
        assert_eq!((args.engine, args.port, args.lasts), (Engine::Mysql, 7, Duration::from_secs(600)));
        assert_eq!((args.users, args.databases, args.forward), (vec!["a".into(), "b".into()], vec![], None));
        for help in ["", "help", "--help", "serve --help"] {
            assert_eq!(parse(help), Ok(None), "{help}");
        }
    }

    #[test]
    fn command_of_the_readme_is_parsed() {
        let readme = include_str!("../../../README.md");
        let command = readme.lines().find_map(|line| line.strip_prefix("rds-testkit serve")).unwrap();
        let (command, comment) = command.split_once(" # ").unwrap();
        let (_, forward) = comment.split_once("; --forward ").unwrap();

        let args = parse(&format!("serve {command} --forward {forward}")).unwrap().unwrap();

        assert_eq!((args.engine, args.users), (Engine::Postgres, vec!["shop".to_owned()]));
        assert_eq!(args.forward.unwrap().user, "owner");
    }

    #[test]
    fn invalid_command_line_is_refused_without_its_values() {
        for line in [
            "run",
            "serve",
            "serve --engine oracle",
            "serve --engine mysql --port 70000",
            "serve --engine mysql --port",
            "serve --engine mysql --what",
            "serve --engine mysql --for 0",
            "serve --engine mysql --for 25h",
            "serve --engine mysql --for soon",
            "serve --engine mysql --forward postgres://u:hunter2@127.0.0.1",
            "serve --engine mysql --forward u:hunter2@127.0.0.1",
            "serve --engine mysql --forward mysql://u:hunter2@db.example:3306",
            "serve --engine mysql --forward mysql://u:hunter2@10.0.0.1:3306",
            "serve --engine mysql --forward mysql://127.0.0.1:3306/hunter2",
            "serve --engine mysql --forward mysql://u:hunter2%4@127.0.0.1",
        ] {
            let error = parse(line).unwrap_err();
            assert!(!error.contains("hunter2") && !error.is_empty(), "{error}");
        }
    }

    #[test]
    fn database_to_forward_to_is_parsed() {
        let forward = |url: &str, remote: &str| {
            parse(&format!("serve --engine postgres --forward {url} {remote}"))
                .unwrap()
                .unwrap()
                .forward
                .unwrap()
        };
        let one = forward("postgres://o%40x:a%3Ab%2F@localhost/app?x=y", "");
        assert_eq!(
            (one.address.to_string(), &*one.user, &*one.password),
            ("127.0.0.1:5432".into(), "o@x", "a:b/")
        );
        assert_eq!(forward("postgresql://u@[::1]:7", "").address.to_string(), "[::1]:7");
        assert_eq!(forward("postgres://u@localhost:7", "").address.to_string(), "127.0.0.1:7");
        assert_eq!(forward("postgres://u@10.0.0.1", "--forward-remote").address.to_string(), "10.0.0.1:5432");
    }
}
