//! Clients without support for tokens, through `rds-iam proxy`, at the real server and at
//! `rds-testkit` in front of it.

mod drivers;

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use futures_util::future::join_all;
use rds_testkit::{MysqlServer, PostgresServer};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{Table, temporary_key};
use crate::{
    Result,
    environment::{Engine, Environment, FORWARDED, HOST, Observation, REGION},
    prerequisites::Prerequisites,
    programs::{Programs, run as ran},
    report::Report,
    service::rig,
    sources::Variables,
};

pub(super) const PASSWORD: &str = "a local password";

/// How long the proxy may take to start, and to end.
const START: Duration = Duration::from_secs(30);

const ALL_OF_POSTGRES: &str = "connect, query, prepared, copy, listen, error, cancel, big";
const ALL_OF_MYSQL: &str = "connect, query, prepared, load, error, cancel, big";
/// It has no `LOAD DATA LOCAL`.
const OF_SQLX: &str = "connect, query, prepared, error, cancel, big";

/// A client: its name, its runtime, and the features that have to work.
type Client = (&'static str, Runner, &'static str);

#[derive(Clone, Copy)]
enum Runner {
    /// An npm package.
    Node,
    /// A Python package, or a program that a Python script runs.
    Python,
    /// A driver in this program.
    Rust,
}

fn clients(engine: Engine) -> Vec<Client> {
    match engine {
        Engine::Postgres => vec![
            ("psql", Runner::Python, ALL_OF_POSTGRES),
            ("psycopg2", Runner::Python, ALL_OF_POSTGRES),
            ("psycopg", Runner::Python, ALL_OF_POSTGRES),
            ("asyncpg", Runner::Python, ALL_OF_POSTGRES),
            ("pg", Runner::Node, ALL_OF_POSTGRES),
            ("tokio-postgres", Runner::Rust, ALL_OF_POSTGRES),
            ("sqlx", Runner::Rust, ALL_OF_POSTGRES),
        ],
        Engine::Mariadb | Engine::Mysql => vec![
            ("mariadb", Runner::Python, ALL_OF_MYSQL),
            ("pymysql", Runner::Python, ALL_OF_MYSQL),
            ("connector", Runner::Python, ALL_OF_MYSQL),
            ("mysql2", Runner::Node, ALL_OF_MYSQL),
            ("mysql_async", Runner::Rust, ALL_OF_MYSQL),
            ("sqlx", Runner::Rust, OF_SQLX),
        ],
    }
}

/// Runs the cases.
pub(crate) async fn run(
    environment: &Environment,
    prerequisites: &Prerequisites,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    environment.record(&[&temporary_key()])?;
    let mut table = Table { environment, report };
    let real = (environment.port, environment.authority().display().to_string());
    through(&mut table, prerequisites, programs, "proxy", real, &temporary_key().variables()).await?;
    let database = SocketAddr::from(([127, 0, 0, 1], environment.port));
    let (user, password) = FORWARDED;
    let given = |key: &rds_testkit::AccessKey| -> Variables { key.env() };
    match environment.engine {
        Engine::Postgres => {
            let server = PostgresServer::builder().host(HOST).region(REGION).user("jane");
            let server = server.forward_to(database, user, password).start().await?;
            let embedded = (server.port(), server.ca_file().display().to_string());
            let key = given(server.access_key());
            through(&mut table, prerequisites, programs, "proxy and rds-testkit", embedded, &key).await
        }
        Engine::Mariadb | Engine::Mysql => {
            let server = MysqlServer::builder().host(HOST).region(REGION).user("jane");
            let server = server.forward_to(database, user, password).start().await?;
            let embedded = (server.port(), server.ca_file().display().to_string());
            let key = given(server.access_key());
            through(&mut table, prerequisites, programs, "proxy and rds-testkit", embedded, &key).await
        }
    }
}

/// Runs every client concurrently through one proxy, a row for each.
async fn through(
    table: &mut Table<'_>,
    prerequisites: &Prerequisites,
    programs: &Programs,
    way: &str,
    (port, authority): (u16, String),
    key: &Variables,
) -> Result<()> {
    let engine = table.environment.engine;
    let proxy = Proxy::start(engine, programs, port, &authority, key, &[]).await?;
    let folder = programs.file(&format!("clients-{}-{port}", engine.name()));
    std::fs::create_dir_all(&folder)?;
    let (folder, port) = (&folder, proxy.port);
    let run = |client: Client| async move {
        let (name, runner, _) = client;
        let seen = match runner {
            Runner::Rust => Some(drivers::run(name, engine, port).await),
            Runner::Node | Runner::Python => script(prerequisites, programs, client, folder, port).await?,
        };
        Ok((client, seen))
    };
    let ended: Vec<Result<(Client, Option<Observation>)>> =
        join_all(clients(engine).into_iter().map(run)).await;
    for ended in ended {
        let ((name, _, expected), seen) = ended?;
        let case = format!("{name} through {way}");
        match seen {
            Some(seen) => table.row(&case, expected, &seen),
            None => table.report.skipped(engine.name(), &case, "not installed: --install"),
        }
    }
    let seen = proxy.end().await?;
    table.row(&format!("what {way} told"), "no token", &seen);
    Ok(())
}

/// Runs a client by its script; `None` if it is not installed.
async fn script(
    prerequisites: &Prerequisites,
    programs: &Programs,
    (name, runner, _): Client,
    folder: &Path,
    port: u16,
) -> Result<Option<Observation>> {
    let mut command = match runner {
        Runner::Node => {
            let mut command = Command::new("node");
            command.arg(rig("proxied.cjs")).env("NODE_PATH", prerequisites.client_modules());
            command
        }
        Runner::Python | Runner::Rust => {
            let mut command = Command::new(prerequisites.client_python(name));
            command.arg(rig("proxied.py")).env("PSQL", programs.psql());
            command
        }
    };
    if !prerequisites.has_client(name) {
        return Ok(None);
    }
    command.args([name, "127.0.0.1", &port.to_string(), "jane", "app"]).arg(folder);
    command.env("PROXY_PASSWORD", PASSWORD).stdin(Stdio::null()).kill_on_drop(true);
    let ran = ran(command).await?;
    let details = ran.err.lines().map(str::to_owned).collect();
    Ok(Some(Observation { text: ran.out, details }))
}

/// A running `rds-iam proxy`.
pub(super) struct Proxy {
    child: Child,
    pub(super) port: u16,
    told: String,
    rest: BufReader<tokio::process::ChildStdout>,
}

impl Proxy {
    pub(super) async fn start(
        engine: Engine,
        programs: &Programs,
        port: u16,
        authority: &str,
        key: &Variables,
        options: &[&str],
    ) -> Result<Self> {
        let scheme = if matches!(engine, Engine::Postgres) { "postgres" } else { "mysql" };
        let url = format!("{scheme}://jane@{HOST}:{port}/app?sslrootcert={authority}");
        let mut command = programs.command(programs.rds_iam(), key);
        command
            // Port 0: the system chooses one, which the proxy prints.
            .args(["proxy", "--verbose", "--listen", "0", &url])
            .args(options)
            .env("RDS_IAM_LOCAL_PASSWORD", PASSWORD);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut rest = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut told = String::new();
        while timeout(START, rest.read_line(&mut told)).await.map_err(|_| "the proxy does not start")?? > 0 {
            let port = told.split_whitespace().find_map(|word| word.strip_prefix("port="));
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                return Ok(Self { child, port, told, rest });
            }
        }
        let mut error = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut error).await?;
        }
        Err(format!("the proxy did not start: {told}{error}").into())
    }

    /// Ends the proxy, and searches its output for a token.
    pub(super) async fn end(mut self) -> Result<Observation> {
        let id = self.child.id().ok_or("the proxy has ended")?.to_string();
        // TERM, as a supervisor sends: the proxy drains its sessions and reports success.
        Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &id]).status().await?;
        let late = |_| "the proxy does not end";
        timeout(START, self.rest.read_to_string(&mut self.told)).await.map_err(late)??;
        let output = timeout(START, self.child.wait_with_output()).await.map_err(late)??;
        self.told.push_str(&String::from_utf8_lossy(&output.stderr));
        let text = if self.told.contains("X-Amz") { "a token" } else { "no token" };
        let text =
            if output.status.success() { text.to_owned() } else { format!("{text}, {}", output.status) };
        Ok(Observation { text, details: self.told.lines().map(str::to_owned).collect() })
    }
}
