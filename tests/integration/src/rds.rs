//! The cases for the reader's own databases on RDS or Aurora.

mod cases;
mod certificate;
mod database;
mod unknown;

use std::env;

use crate::{Result, environment::Engine, report::Report};
use database::Database;

/// Runs the cases at every database named by environment variables.
///
/// # Errors
///
/// If none is named, a variable is missing, or a case differs from its expectation.
pub(crate) async fn run() -> Result<()> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    // These cases are the same for MariaDB.
    let engines = [(Engine::Postgres, "RDS_PG"), (Engine::Mysql, "RDS_MYSQL")];
    let mut databases = Vec::new();
    let mut report = Report::new();
    for (engine, prefix) in engines {
        match Database::read(engine, prefix, &variable)? {
            Some(database) => databases.push(database),
            None => report.left_out(engine.name(), "every case", &format!("{prefix}_HOST")),
        }
    }
    if databases.is_empty() {
        return Err("missing database: set RDS_PG_HOST or RDS_MYSQL_HOST, and RDS_DB_USER".into());
    }
    for database in &databases {
        cases::run(database, &mut report).await?;
        unknown::run(database, &mut report).await?;
    }
    report.finish()
}
