//! The suite for the reader's own databases, run at a local server through its variables.

use super::{Table, temporary_key};
use crate::{
    Result,
    environment::{Engine, Environment, HOST, Observation, READER_HOST},
    output,
    prerequisites::Prerequisites,
    programs::Programs,
    report::Report,
};

/// Runs it and shows its table.
pub(crate) async fn run(
    environment: &Environment,
    prerequisites: &Prerequisites,
    programs: &Programs,
    report: &mut Report,
) -> Result<()> {
    let mut table = Table { environment, report };
    environment.record(&[&temporary_key()])?;
    let prefix = if matches!(environment.engine, Engine::Postgres) { "RDS_PG" } else { "RDS_MYSQL" };
    let mut command = programs.command(std::env::current_exe()?, &temporary_key().variables());
    command.args(["--rds", "--cache"]).arg(prerequisites.cache());
    command.env("RDS_DB_USER", "jane").env("RDS_SSLROOTCERT", environment.authority());
    command.env(format!("{prefix}_HOST"), HOST).env(format!("{prefix}_PORT"), environment.port.to_string());
    command.env(format!("{prefix}_READER_HOST"), READER_HOST);
    if matches!(environment.engine, Engine::Postgres) {
        command.env("RDS_PG_DATABASE", "postgres");
    }
    output::line("");
    let succeeded = command.status().await?.success();
    let text = if succeeded { "all as expected" } else { "not all as expected" };
    let seen = Observation { text: text.to_owned(), details: Vec::new() };
    table.row("--rds, by its variables", "all as expected", &seen);
    Ok(())
}
