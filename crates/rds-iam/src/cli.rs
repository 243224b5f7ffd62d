//! The command line.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  PGPASSWORD=\"$(rds-iam token --host db.abc123.us-east-2.rds.amazonaws.com --user jane)\" \\
    psql 'host=db.abc123.us-east-2.rds.amazonaws.com user=jane dbname=app sslmode=verify-full sslrootcert=global-bundle.pem'
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane --sslrootcert global-bundle.pem -- psql app
  rds-iam inspect db.cluster-ro-abc123.us-east-2.rds.amazonaws.com
  rds-iam doctor 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app?sslrootcert=global-bundle.pem'

Credentials come from the AWS default chain: environment, profile, SSO, web identity, ECS, EC2.

Exit codes:
  0 done, 1 failed, 2 wrong usage; doctor and exec have more, see their --help";

const TOKEN_EXAMPLES: &str = "\
Examples:
  PGPASSWORD=\"$(rds-iam token --host db.abc123.us-east-2.rds.amazonaws.com --user jane)\" psql …
  eval \"$(rds-iam token --host db.abc123.us-east-2.rds.amazonaws.com --user jane --format env)\"
  rds-iam token --host db.abc123.us-east-2.rds.amazonaws.com --user jane --engine mysql
  rds-iam token --service dsql --host foo0bar1baz2quux3quuux4abc.dsql.us-east-1.on.aws --user admin
  REDISCLI_AUTH=\"$(rds-iam token --service elasticache --name orders --user jane --region us-east-2)\" redis-cli …
  rds-iam token --service msk --region us-east-2
  rds-iam token --service eks --name blue --region us-east-2

A token is a password: it opens the database to whoever has it for 15 minutes (eks: 1 minute), or until the
credentials end that signed it.";

#[cfg(unix)]
const EXEC_EXAMPLES: &str = "\
Examples:
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane --sslrootcert global-bundle.pem -- psql app
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane -- pg_dump --schema-only app
  rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane --sslrootcert global-bundle.pem -- mysql app
  PGHOSTADDR=127.0.0.1 rds-iam exec --host db.abc123.us-east-2.rds.amazonaws.com --user jane -- psql -p 15432 app

The client takes the place of rds-iam: exit code, signals and terminal are its own.

PostgreSQL clients, and every other program, get PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE=verify-full,
PGGSSENCMODE=disable and PGSSLROOTCERT; without --sslrootcert and PGSSLROOTCERT that is `system`, which needs libpq 16. What stands in the client's own
arguments wins over these: name no sslmode there.
The environment of a process can be read by its own user and by root (on Linux in /proc/PID/environ), and programs
that the client starts inherit it.

Clients whose name begins with mysql or mariadb get --defaults-file with host, port, user, password and verified TLS: a
nameless file that only they have open, so ~/.my.cnf does not count. They need --sslrootcert.

The token is good for opening connections for 15 minutes; an open connection stays.

Exit codes:
  the client's own; 126 it cannot be run, 127 it was not found, 1 no token, 2 wrong usage";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  rds-iam doctor 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app?sslrootcert=global-bundle.pem'
  rds-iam doctor --sts 'mysql://jane@db.abc123.us-east-2.rds.amazonaws.com/app?sslrootcert=global-bundle.pem'
  rds-iam doctor --dns-server 10.0.0.2 'postgres://jane@db.example.com/app?iamHost=db.abc123.us-east-2.rds.amazonaws.com'
  DATABASE_URL=postgres://… rds-iam doctor
  rds-iam doctor --json - <url.txt

Steps: parameters, host, dns, credentials, clock, tcp, tls, login; each is ok, warning, failed or skipped.
After a refusal MySQL is asked once more, without any password, how it wants this user's: that too counts as a failed login.

Exit codes:
  0 logged in; else the first step that failed: 10 parameters, 11 host, 12 dns, 13 credentials, 14 tcp, 15 tls, 16 login;
  1 nothing to examine, 2 wrong usage";

/// Prints IAM tokens for RDS and Aurora, opens clients with them, and says why a login fails
#[derive(Debug, Parser)]
#[command(name = "rds-iam", version, after_help = EXAMPLES, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints a token, the password of a database user
    #[command(after_help = TOKEN_EXAMPLES)]
    Token(TokenArguments),
    /// Runs a client such as psql or mysql with a token
    #[cfg(unix)]
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArguments),
    /// Says what host names stand for and what a token would be signed for
    Inspect(InspectArguments),
    /// Tries to log in, step by step, and says what is wrong
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArguments),
    /// Prints the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page
    Man,
}

/// Where a database is and who logs in.
#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    /// What the token is for
    #[arg(long, value_enum, default_value_t = Service::Rds)]
    pub(crate) service: Service,
    /// The endpoint's own name (rds, dsql), not an alias or a tunnel
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The name of the cache or cluster (elasticache, memorydb, eks), not its address
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The user to log in as (all but msk and eks)
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The port that the token is signed for [default: 5432, or 3306 for mysql]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// The database engine, which decides about the default port and the names of `env`
    #[arg(long, value_enum, default_value_t = Engine::Postgres)]
    pub(crate) engine: Engine,
    /// The region to sign for [default: the one in the host's name]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration that gives the credentials
    #[arg(long)]
    pub(crate) profile: Option<String>,
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
    /// The endpoint's own name, not an alias or a tunnel
    #[arg(long)]
    pub(crate) host: String,
    /// The database user
    #[arg(long)]
    pub(crate) user: String,
    /// The port [default: 5432, or 3306 for mysql and mariadb]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// The region to sign for [default: the one in the host's name]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration that gives the credentials
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// The PEM file of the trusted certificate authorities, such as the RDS bundle
    #[arg(long)]
    pub(crate) sslrootcert: Option<std::path::PathBuf>,
    /// The client and its arguments
    #[arg(last = true, required = true, value_name = "CLIENT")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// Host names or addresses
    #[arg(required = true, value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Prints JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// The connection string as the program has it; `-` reads it from standard input, and without one DATABASE_URL counts, as a
    /// URL with a password in it can be read by every user of the machine while the command runs
    pub(crate) url: Option<String>,
    /// Prints the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The server whose clock is asked, by http or https [default: STS in the region]
    #[arg(long, value_name = "URL")]
    pub(crate) time_url: Option<String>,
    /// The DNS server to ask, in place of what this system is set to (as `dig @` does); the login asks it too
    #[arg(long, value_name = "IP[:PORT]", value_parser = dns_server)]
    pub(crate) dns_server: Option<SocketAddr>,
    /// Asks STS in the region whose credentials they are, at AWS_ENDPOINT_URL_STS if that is set
    #[arg(long)]
    pub(crate) sts: bool,
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim_matches(['[', ']']).parse().map(|address: IpAddr| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse()).map_err(|_| {
        "give an address, with a port unless it is 53, as in 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53"
            .to_owned()
    })
}

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
    /// The name as its makers write it.
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
}
