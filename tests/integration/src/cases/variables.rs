//! The suite and the benchmarks for the reader's own databases, run at a local server through their
//! variables.

use std::{env, path::Path};

use tokio::process::Command;

use super::{Table, temporary_key};
use crate::{
    Result,
    environment::{Engine, Environment, HOST, Observation, READER_HOST},
    output,
    prerequisites::Prerequisites,
    programs::Programs,
    report::Report,
};

/// Runs the suite and shows its table; the benchmarks where they are asked for.
pub(crate) async fn run(
    environment: &Environment,
    prerequisites: &Prerequisites,
    programs: &Programs,
    is_bench: bool,
    report: &mut Report,
) -> Result<()> {
    let mut table = Table { environment, report };
    environment.record(&[&temporary_key()])?;
    let mut suite = named(environment, programs, env::current_exe()?);
    suite.args(["--rds", "--cache"]).arg(prerequisites.cache());
    table.row("--rds, by its variables", "all as expected", &succeeded(suite).await?);
    if is_bench {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/target/release");
        let mut bench = named(environment, programs, folder.join("rds-wrapper-bench"));
        bench.arg("databases");
        table.row("bench databases, by the same", "all as expected", &succeeded(bench).await?);
    }
    Ok(())
}

/// Returns a program with the variables that name the server.
fn named(environment: &Environment, programs: &Programs, program: impl AsRef<Path>) -> Command {
    let mut command = programs.command(program.as_ref(), &temporary_key().variables());
    let prefix = if matches!(environment.engine, Engine::Postgres) { "RDS_PG" } else { "RDS_MYSQL" };
    command.env("RDS_DB_USER", "jane").env("RDS_SSLROOTCERT", environment.authority());
    command.env(format!("{prefix}_HOST"), HOST).env(format!("{prefix}_PORT"), environment.port.to_string());
    command.env(format!("{prefix}_READER_HOST"), READER_HOST);
    if matches!(environment.engine, Engine::Postgres) {
        command.env("RDS_PG_DATABASE", "postgres");
    }
    command
}

/// Runs a program that prints a table of its own.
async fn succeeded(mut command: Command) -> Result<Observation> {
    output::line("");
    let program = command.as_std().get_program().to_owned();
    let status = command.status().await.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = if status.success() { "all as expected" } else { "not all as expected" };
    Ok(Observation { text: text.to_owned(), details: Vec::new() })
}
