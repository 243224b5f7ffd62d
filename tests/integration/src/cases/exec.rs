//! Clients by `rds-iam exec` with session tokens of every length.

use std::{fs, future::Future, pin::pin, process::Stdio, time::Duration};

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

/// How often the command lines of this machine are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, programs: &Programs, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    for length in LENGTHS {
        let mark = format!("integration{length}x");
        let session_token = mark.chars().cycle().take(length).collect();
        let key = Key {
            id: "ASIAEXEC".to_owned(),
            secret: "secret".to_owned(),
            session_token: Some(session_token),
        };
        environment.record(&[&key])?;
        for client in clients(environment.engine) {
            let command = exec(environment, programs, &key, client);
            let seen = environment.observe_fallible(watched(command, client[0], &mark)).await?;
            let case = format!("{} by exec, {length} bytes of session token", client[0]);
            table.row(&case, "done, 0 in command lines, 0 in texts; accepted", &seen);
        }
    }
    Ok(())
}

/// The clients with arguments that make them log in once.
fn clients(engine: Engine) -> [&'static [&'static str]; 2] {
    match engine {
        Engine::Mariadb | Engine::Mysql => [
            &["mariadb", "--batch", "--execute", "SELECT CURRENT_USER()"],
            &["mariadb-dump", "--no-data", "--skip-lock-tables", "app"],
        ],
        Engine::Postgres => [
            &["psql", "--no-psqlrc", "--dbname", "postgres", "--command", "SELECT current_user"],
            &["pg_dump", "--schema-only", "--exclude-table=copied", "--dbname", "postgres"],
        ],
    }
}

fn exec(environment: &Environment, programs: &Programs, key: &Key, client: &[&str]) -> Command {
    let mut command = programs.command(programs.rds_iam(), &key.variables());
    command.args(["exec", "--host", HOST, "--port", &environment.port.to_string(), "--user", "jane"]);
    command.arg("--sslrootcert").arg(environment.authority()).arg("--");
    match environment.engine {
        Engine::Mariadb | Engine::Mysql => command.arg(client[0]),
        Engine::Postgres => command.arg(programs.psql().with_file_name(client[0])),
    };
    command.args(&client[1..]);
    command
}

/// Runs a client, and looks for the token in all command lines of the machine meanwhile and in what
/// the client printed.
async fn watched(mut command: Command, client: &str, mark: &str) -> Result<Observation> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut done = pin!(child.wait_with_output());
    let (mut was_seen, mut exposed) = (false, 0);
    let output = loop {
        let lines = command_lines();
        was_seen |= lines.iter().any(|line| line.contains(client) && !line.contains("rds-iam"));
        exposed += lines.iter().filter(|line| line.contains(mark)).count();
        if let Some(output) = within(LOOK_EVERY, &mut done).await {
            break output?;
        }
    };
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let in_texts = texts.iter().map(|text| text.matches(mark).count()).sum::<usize>();
    let end = match (output.status.success(), was_seen) {
        (true, true) => "done",
        (true, false) => "done, but never seen at work",
        (false, _) => "failed",
    };
    let text = format!("{end}, {exposed} in command lines, {in_texts} in texts");
    let [_, err] = texts;
    Ok(Observation { text, details: vec![err] })
}

async fn within<F: Future + Unpin>(limit: Duration, future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep(limit) => None,
    }
}

/// What every process of the machine was started with.
fn command_lines() -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let files = processes.flatten().map(|process| process.path().join("cmdline"));
    files
        .filter_map(|file| fs::read(file).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}
