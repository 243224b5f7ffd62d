//! The command line.

#[cfg(all(test, unix))]
mod documents;
mod help;
#[cfg(unix)]
mod proxy;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use self::help::{DOCTOR_EXAMPLES, EXAMPLES, TOKEN_EXAMPLES};
#[cfg(unix)]
use self::help::{EXEC_EXAMPLES, PROXY_EXAMPLES};
#[cfg(unix)]
pub(crate) use self::proxy::{ListenAt, ProxyArguments, ProxyOptions, place};
use crate::connection::ConnectionArguments;

/// Print IAM tokens for RDS and Aurora, run clients with them, and explain failing logins
#[derive(Debug, Parser)]
#[command(name = "rds-iam", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a token, the password of a database user
    #[command(after_help = TOKEN_EXAMPLES, disable_help_flag = true)]
    Token(TokenArguments),
    /// Run a client such as psql or mysql with a token
    #[cfg(unix)]
    #[command(after_help = EXEC_EXAMPLES, disable_help_flag = true)]
    Exec(ExecArguments),
    /// Log clients in that cannot use tokens, through a local socket
    #[cfg(unix)]
    #[command(after_help = PROXY_EXAMPLES)]
    Proxy(ProxyArguments),
    /// Explain host names, and what a token for them is signed for
    Inspect(InspectArguments),
    /// Find out, step by step, why a login fails
    #[command(after_help = DOCTOR_EXAMPLES, disable_help_flag = true)]
    Doctor(DoctorArguments),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page, or write all of them
    Man {
        /// The command to print the page of [default: that of rds-iam itself]
        command: Option<String>,
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
}

/// The arguments of `token`.
#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    /// What the token is for
    #[arg(long, value_enum, default_value_t = Service::Rds)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// The name of the cache or cluster (elasticache, memorydb, eks), not its address
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The cache is a serverless one (elasticache)
    #[arg(long)]
    pub(crate) serverless: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Plain)]
    pub(crate) format: Format,
}

#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// Pass the client a URL with the token in this variable, and nothing else
    #[arg(long, value_name = "NAME")]
    pub(crate) url_env: Option<String>,
    /// The query of that URL, instead of the parameters that make the tool verify TLS
    #[arg(long, value_name = "QUERY", requires = "url_env")]
    pub(crate) url_query: Option<String>,
    /// The client and its arguments
    #[arg(last = true, required = true, value_name = "CLIENT")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// Host names or addresses
    #[arg(required = true, value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// The connection string as the program has it; `-` reads it from standard input
    #[arg(value_name = "URL", conflicts_with_all = ["url", "engine", "host", "port", "user", "database"])]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The server whose clock is asked, by http or https [default: STS in the region]
    #[arg(long, value_name = "URL")]
    pub(crate) time_url: Option<String>,
    /// The DNS server to ask instead of the system's (as `dig @` does); the login asks it too
    #[arg(long, value_name = "IP[:PORT]", value_parser = dns_server)]
    pub(crate) dns_server: Option<SocketAddr>,
    /// Ask STS in the region who the credentials belong to, at AWS_ENDPOINT_URL_STS if that is set
    #[arg(long)]
    pub(crate) sts: bool,
    /// How long all steps may take together, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "give whole seconds, from 1 to 86400".to_owned())
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim_matches(['[', ']']).parse().map(|address: IpAddr| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse()).map_err(|_| {
        "give an address, with a port unless it is 53, as in 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53"
            .to_owned()
    })
}

/// The service that a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// RDS, Aurora and RDS Proxy
    Rds,
    /// Aurora DSQL; the user admin logs in as such
    Dsql,
    /// ElastiCache
    Elasticache,
    /// MemoryDB
    Memorydb,
    /// MSK, a bearer token for SASL/OAUTHBEARER
    Msk,
    /// EKS, a bearer token for the API server
    Eks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// PostgreSQL
    #[value(alias = "postgresql")]
    Postgres,
    /// MySQL and MariaDB
    #[value(alias = "mariadb")]
    Mysql,
}

impl From<Engine> for wrapper_core::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Mysql => Self::Mysql,
            Engine::Postgres => Self::Postgres,
        }
    }
}

impl Engine {
    /// Returns the word of connection strings and of `--engine`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// Returns the name as its makers write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mysql => "MySQL",
            Self::Postgres => "PostgreSQL",
        }
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Mysql => 3306,
            Self::Postgres => 5432,
        }
    }
}

/// The output format of `token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The token alone
    Plain,
    /// The token and what it is for
    Json,
    /// Lines for a shell's eval
    Env,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn longer_texts_fit_a_terminal_of_80_columns() {
        let cli = Cli::command();
        for command in cli.get_subcommands().chain([&cli]) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }
}
