//! The database that a command is for: a connection string, or options in place of one.

use std::{
    env,
    io::{self, Read},
    net::IpAddr,
    path::PathBuf,
};

use clap::Args;
use wrapper_adapter::percent_encoded;
use wrapper_iam::{AssumeRole, IamPlugin};
use wrapper_secrets::SecretsPlugin;

use crate::{cli::Engine, failure::Failure};

/// Where a database is, who logs in there, and with whose credentials.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectionArguments {
    /// The connection string as a program has it; without one and without --host it is taken from
    /// DATABASE_URL. Every user of this machine can read a password in it while the command runs
    #[arg(long, value_name = "URL", conflicts_with_all = ["engine", "host", "port", "user", "database"])]
    pub(crate) url: Option<String>,
    /// The database engine [default: postgres, or what the client is for]
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Engine>,
    /// The host, by the endpoint's own name; for an alias or a tunnel see --iam-host and --hostaddr
    #[arg(short = 'h', long)]
    pub(crate) host: Option<String>,
    /// The address to connect to instead of the host's, such as the near end of a tunnel
    #[arg(long, value_name = "IP")]
    pub(crate) hostaddr: Option<IpAddr>,
    /// The port [default: 5432, or 3306 for mysql]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// The database user
    #[arg(short = 'U', long)]
    pub(crate) user: Option<String>,
    /// The database
    #[arg(short, long)]
    pub(crate) database: Option<String>,
    /// The endpoint that the token is signed for, where the host is an alias, an address or a
    /// tunnel
    #[arg(long, value_name = "HOST")]
    pub(crate) iam_host: Option<String>,
    /// The port that the token is signed for, where a tunnel listens on another one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) iam_port: Option<u16>,
    /// The region to sign for [default: the one in the endpoint's name]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration to load the credentials from
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// A role to assume with these credentials
    #[arg(long, value_name = "ARN")]
    pub(crate) assume_role: Option<String>,
    /// The external id that the role's trust policy asks for
    #[arg(long, value_name = "ID", requires = "assume_role")]
    pub(crate) external_id: Option<String>,
    /// The secret of Secrets Manager, by name or ARN, that provides user and password instead of a
    /// token
    #[arg(long, value_name = "ID")]
    pub(crate) secret_id: Option<String>,
    /// The region of that secret [default: the one in its ARN]
    #[arg(long, value_name = "REGION", requires = "secret_id")]
    pub(crate) secret_region: Option<String>,
    /// The PEM file of the trusted certificate authorities, such as the RDS bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) sslrootcert: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, display_order = 1000)]
    pub(crate) help: Option<bool>,
}

/// Says whether `-` stands for standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input belongs to the client.
    #[cfg_attr(not(unix), expect(dead_code, reason = "clients are run on Unix only"))]
    Foreign,
    Own,
}

impl ConnectionArguments {
    /// Returns the connection string with the options added; `None` if no database is named.
    pub(crate) fn text(&self, engine: Engine, input: Input) -> Result<Option<String>, Failure> {
        let text = match (&self.url, &self.host) {
            (Some(url), _) => given(url, input)?,
            (None, Some(host)) => self.built_url(host, self.engine.unwrap_or(engine))?,
            (None, None) => match from_environment()? {
                Some(url) => url,
                None => return Ok(None),
            },
        };
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        self.with_options(text.to_owned()).map(Some)
    }

    /// Returns the options that apply to databases only, and whether each is given.
    pub(crate) fn database_options(&self) -> [(&'static str, bool); 9] {
        [
            ("--url", self.url.is_some()),
            ("--host", self.host.is_some()),
            ("--engine", self.engine.is_some()),
            ("--database", self.database.is_some()),
            ("--hostaddr", self.hostaddr.is_some()),
            ("--iam-host", self.iam_host.is_some()),
            ("--iam-port", self.iam_port.is_some()),
            ("--secret-id", self.secret_id.is_some()),
            ("--sslrootcert", self.sslrootcert.is_some()),
        ]
    }

    /// Returns the role to assume.
    pub(crate) fn role(&self) -> Option<AssumeRole> {
        let role = AssumeRole::new(self.assume_role.as_deref()?);
        Some(match self.external_id.as_deref() {
            Some(id) => role.with_external_id(id),
            None => role,
        })
    }

    fn built_url(&self, host: &str, engine: Engine) -> Result<String, Failure> {
        let plugin = if self.secret_id.is_some() { SecretsPlugin::CODE } else { IamPlugin::CODE };
        let user = match (&self.user, &self.secret_id) {
            (Some(user), _) => format!("{}@", percent_encoded(user)),
            (None, Some(_)) => String::new(),
            (None, None) => return Err(Failure::usage("--host needs --user: add it")),
        };
        let scheme = engine.word();
        // Checked here, since in a URL a malformed host reads as a path or a user.
        host_pattern::Endpoint::parse(host).map_err(|error| {
            Failure::usage(format!("invalid --host: {error}; pass the endpoint's own name"))
        })?;
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("[{host}]"),
            _ => host.to_owned(),
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let database = self.database.as_deref().map(percent_encoded).unwrap_or_default();
        let text = format!("{scheme}://{user}{host}{port}/{database}");
        Ok(with_parameter(text, "plugins", plugin))
    }

    fn with_options(&self, mut text: String) -> Result<String, Failure> {
        let roots = self.sslrootcert.as_ref().map(|path| {
            path.to_str().ok_or_else(|| Failure::usage("the path of --sslrootcert is not UTF-8: rename it"))
        });
        let port = self.iam_port.map(|port| port.to_string());
        for (name, value) in [
            ("iamHost", self.iam_host.as_deref()),
            ("iamDefaultPort", port.as_deref()),
            ("iamRegion", self.region.as_deref()),
            ("awsProfile", self.profile.as_deref()),
            ("assumeRoleArn", self.assume_role.as_deref()),
            ("assumeRoleExternalId", self.external_id.as_deref()),
            ("secretId", self.secret_id.as_deref()),
            ("secretRegion", self.secret_region.as_deref()),
            ("sslrootcert", roots.transpose()?),
        ] {
            if let Some(value) = value {
                text = with_parameter(text, name, value);
            }
        }
        Ok(text)
    }
}

/// Reads the argument of `--url`.
fn given(url: &str, input: Input) -> Result<String, Failure> {
    match (url, input) {
        ("-", Input::Foreign) => {
            Err(Failure::usage("standard input is the client's: set DATABASE_URL in place of --url -"))
        }
        ("-", Input::Own) => {
            let mut text = String::new();
            let read = io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Failure::new("failed to read a URL from standard input").because(error))?;
            if text.trim().is_empty() {
                return Err(Failure::usage("standard input is empty: write a connection string to it"));
            }
            Ok(text)
        }
        (url, _) if url.trim().is_empty() => Err(missing_database()),
        (url, _) => Ok(url.to_owned()),
    }
}

/// Returns the error of a command for which no database is named.
pub(crate) fn missing_database() -> Failure {
    Failure::usage("missing database: pass a connection string or --host, or set DATABASE_URL")
}

/// Returns the connection string in `DATABASE_URL`, if it is set and not blank.
pub(crate) fn from_environment() -> Result<Option<String>, Failure> {
    match env::var("DATABASE_URL") {
        Ok(url) if url.trim().is_empty() => Ok(None),
        Ok(url) => Ok(Some(url)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage("DATABASE_URL is not valid UTF-8")),
    }
}

/// Adds a parameter to a URL, or to a string of pairs.
pub(crate) fn with_parameter(text: String, name: &str, value: &str) -> String {
    if text.contains("://") {
        let mark = if text.contains('?') { '&' } else { '?' };
        return format!("{text}{mark}{name}={}", percent_encoded(value));
    }
    format!("{text} {name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_connection_string() {
        let arguments = ConnectionArguments {
            host: Some("::1".to_owned()),
            user: Some("o'hara@x".to_owned()),
            port: Some(6000),
            database: Some("a b".to_owned()),
            region: Some("us-east-2".to_owned()),
            ..ConnectionArguments::default()
        };

        let text = arguments.text(Engine::Mysql, Input::Own).expect("fits").expect("a host");

        assert_eq!(text, "mysql://o%27hara%40x@[::1]:6000/a%20b?plugins=iam&iamRegion=us-east-2");
    }

    #[test]
    fn options_are_added_to_a_string_of_either_form() {
        for (url, expected) in [
            ("postgres://jane@h/app", "postgres://jane@h/app?awsProfile=my%20own"),
            ("postgres://jane@h/app?a=b", "postgres://jane@h/app?a=b&awsProfile=my%20own"),
            (" host=h user=jane\n", "host=h user=jane awsProfile='my own'"),
        ] {
            let arguments = ConnectionArguments {
                url: Some(url.to_owned()),
                profile: Some("my own".to_owned()),
                ..ConnectionArguments::default()
            };

            let text = arguments.text(Engine::Postgres, Input::Own).expect("fits");

            assert_eq!(text.as_deref(), Some(expected));
        }
        assert_eq!(with_parameter("host=h".to_owned(), "a", r"b'\"), r"host=h a='b\'\\'");
    }
}
