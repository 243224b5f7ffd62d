//! Clients by `rds-iam exec` with session tokens of every length.

use std::{
    ffi::OsStr, fs, future::Future, os::unix::ffi::OsStrExt, path::Path, pin::pin, process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::sleep};

use super::Table;
use crate::{
    Result,
    environment::{Engine, Environment, HOST, Observation},
    key::Key,
    programs::Programs,
    report::Report,
};

/// The lengths of session tokens; those of long role chains and many tags reach some kilobytes.
const LENGTHS: [usize; 4] = [400, 2_000, 4_000, 8_000];

/// How often the command lines of this machine are read.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The database that is migrated, and belongs to `jane`.
pub(crate) const MIGRATED: &str = "migrated";

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, programs: &Programs, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    let migrations = programs.file(&format!("{}-by-exec", environment.engine.name()));
    fs::create_dir_all(&migrations)?;
    for length in LENGTHS {
        // Found in no other token on this machine, so that a match is one of this case.
        let mark = format!("integration{length}x");
        let session_token = mark.chars().cycle().take(length).collect();
        let key = Key {
            id: "ASIAEXEC".to_owned(),
            secret: "secret".to_owned(),
            session_token: Some(session_token),
        };
        environment.record(&[&key])?;
        // A new one for each length, since an applied migration does not run again.
        let migration = migrations.join(format!("{length}_length{length}.sql"));
        fs::write(migration, format!("CREATE TABLE length{length} (id INT PRIMARY KEY);"))?;
        for client in clients(environment.engine, length, &migrations) {
            let command = exec(environment, programs, &key, &client);
            let seen = environment.observe_fallible(watched(command, &client, &mark)).await?;
            let case = format!("{} by exec, {length} bytes of session token", client.name);
            table.row(&case, client.expected, &seen);
        }
    }
    Ok(())
}

/// A client with arguments that make it log in once.
struct Client {
    name: &'static str,
    arguments: Vec<String>,
    /// The options of `exec` besides those of the server.
    options: Vec<String>,
    /// A part of its output when its work is done.
    prints: String,
    expected: &'static str,
}

/// The row of a client that got the token.
const DONE: &str = "done, 0 in command lines, 0 in texts; accepted";

fn clients(engine: Engine, length: usize, migrations: &Path) -> [Client; 3] {
    let client = |name, arguments: &[&str], prints: &str| Client {
        name,
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        options: Vec::new(),
        prints: prints.to_owned(),
        expected: DONE,
    };
    let migrations = migrations.display().to_string();
    let applied = format!("Applied {length}/migrate length{length}");
    let sqlx = client("sqlx", &["migrate", "run", "--source", &migrations], &applied);
    let options =
        ["--url-env", "DATABASE_URL", "--database", MIGRATED, "--engine"].map(str::to_owned).to_vec();
    match engine {
        Engine::Mariadb | Engine::Mysql => [
            client("mariadb", &["--batch", "--execute", "SELECT CURRENT_USER()"], "jane@%"),
            client("mariadb-dump", &["--no-data", "--skip-lock-tables", "app"], "Dump completed"),
            // sqlx cannot send a token to MySQL: exec refuses it before it signs one.
            Client {
                options: [options, vec!["mysql".to_owned()]].concat(),
                expected: "wrong usage, 0 in command lines, 0 in texts; not asked",
                ..sqlx
            },
        ],
        Engine::Postgres => [
            client(
                "psql",
                &["--no-psqlrc", "--dbname", "postgres", "--command", "SELECT current_user"],
                "jane",
            ),
            client(
                "pg_dump",
                &["--schema-only", "--exclude-table=copied", "--dbname", "postgres"],
                "PostgreSQL database dump complete",
            ),
            Client { options: [options, vec!["postgres".to_owned()]].concat(), ..sqlx },
        ],
    }
}

fn exec(environment: &Environment, programs: &Programs, key: &Key, client: &Client) -> Command {
    let mut command = programs.command(programs.rds_iam(), &key.variables());
    command.args(["exec", "--host", HOST, "--port", &environment.port.to_string(), "--user", "jane"]);
    command.arg("--sslrootcert").arg(environment.authority()).args(&client.options).arg("--");
    match (client.name, environment.engine) {
        ("sqlx", _) => command.arg(programs.sqlx()),
        (name, Engine::Mariadb | Engine::Mysql) => command.arg(name),
        (name, Engine::Postgres) => command.arg(programs.psql().with_file_name(name)),
    };
    command.args(&client.arguments);
    command
}

/// Runs a client, and searches all command lines of the machine and the client's output for the
/// token.
async fn watched(mut command: Command, client: &Client, mark: &str) -> Result<Observation> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let own = format!("/proc/{}/cmdline", child.id().unwrap_or_default());
    let mut done = pin!(child.wait_with_output());
    let (mut was_seen, mut exposed) = (false, 0);
    let output = loop {
        let lines = command_lines();
        // The client replaces rds-iam in the same process; others on the machine do not count.
        was_seen |= fs::read(&own).is_ok_and(|line| is_run_as(&line, client.name));
        exposed += lines.iter().filter(|line| line.contains(mark)).count();
        if let Some(output) = within(LOOK_EVERY, &mut done).await {
            break output?;
        }
    };
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let in_texts = texts.iter().map(|text| text.matches(mark).count()).sum::<usize>();
    let [out, err] = texts;
    let end = match (output.status.code(), was_seen) {
        (Some(0), true) if out.contains(&client.prints) => "done",
        (Some(0), true) => "not done",
        (Some(0), false) => "done, but never seen at work",
        (Some(2), false) => "wrong usage",
        _ => "failed",
    };
    let text = format!("{end}, {exposed} in command lines, {in_texts} in texts");
    Ok(Observation { text, details: vec![out, err] })
}

/// Returns whether a command line is that of a program of this name.
fn is_run_as(line: &[u8], name: &str) -> bool {
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(OsStr::from_bytes(program)).file_name() == Some(OsStr::new(name))
}

async fn within<F: Future + Unpin>(limit: Duration, future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep(limit) => None,
    }
}

/// Returns the command lines of all processes.
fn command_lines() -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let files = processes.flatten().map(|process| process.path().join("cmdline"));
    files
        .filter_map(|file| fs::read(file).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}
