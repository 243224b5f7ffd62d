//! `rds-testkit serve`: an RDS-like server for the tests of programs in any language.

mod args;
mod end;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Engine, Forward, USAGE};
use end::Signals;
use rds_testkit::{CertificateAuthority, Error, MysqlServer, PostgresServer};
use serde_json::json;

/// The validity of certificates.
const DAY: Duration = Duration::from_secs(24 * 3600);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => return say(&mut std::io::stdout(), USAGE, ExitCode::SUCCESS),
        Err(error) => {
            let text = format!("rds-testkit: {error}\n\n{USAGE}");
            return say(&mut std::io::stderr(), &text, ExitCode::from(2));
        }
    };
    let served = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say(&mut std::io::stderr(), &format!("rds-testkit: {error}\n"), ExitCode::FAILURE),
    }
}

/// Runs a server until a signal arrives, standard input closes or its time is over.
async fn serve(args: Args) -> Result<(), String> {
    let lasts = args.lasts;
    // Before the folder exists, which a signal would otherwise leave behind.
    let signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let server = Server::start(args).await.map_err(|error| chain(&error))?;
    let line = format!("{}\n", server.describe());
    let mut out = std::io::stdout();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    end::wait(signals, lasts).await;
    Ok(())
}

/// A server of either engine.
enum Server {
    Mysql(MysqlServer),
    Postgres(PostgresServer),
}

impl Server {
    async fn start(args: Args) -> Result<Self, Error> {
        let ca = CertificateAuthority::generate_for(DAY)?;
        /// Passes the arguments to a builder of either engine; the methods have the same names.
        macro_rules! start {
            ($builder:expr) => {{
                // Clients that cannot dial another name than they verify have these.
                let builder = $builder.certificate_name("localhost").certificate_name("127.0.0.1");
                let mut builder = builder.ca(&ca).port(args.port);
                if let Some(host) = args.host {
                    builder = builder.host(host);
                }
                if let Some(region) = args.region {
                    builder = builder.region(region);
                }
                for user in args.users {
                    builder = builder.user(user);
                }
                for database in args.databases {
                    builder = builder.database(database);
                }
                if let Some(Forward { address, user, password }) = args.forward {
                    builder = builder.forward_to(address, user, password);
                }
                builder.start().await?
            }};
        }
        Ok(match args.engine {
            Engine::Mysql => Self::Mysql(start!(MysqlServer::builder())),
            Engine::Postgres => Self::Postgres(start!(PostgresServer::builder())),
        })
    }

    /// Describes the server as JSON.
    fn describe(&self) -> serde_json::Value {
        macro_rules! describe {
            ($engine:literal, $server:expr) => {
                json!({
                    "engine": $engine,
                    "address": $server.addr().ip().to_string(),
                    "port": $server.port(),
                    "host": $server.host(),
                    "region": $server.region(),
                    "user": $server.user(),
                    "ca_file": $server.ca_file().to_string_lossy(),
                    "env": env($server.env()),
                })
            };
        }
        match self {
            Self::Mysql(server) => describe!("mysql", server),
            Self::Postgres(server) => describe!("postgres", server),
        }
    }
}

fn env(pairs: Vec<(&'static str, String)>) -> serde_json::Map<String, serde_json::Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn say(to: &mut impl std::io::Write, text: &str, code: ExitCode) -> ExitCode {
    // A closed standard output is not an error.
    let _ = to.write_all(text.as_bytes());
    code
}
