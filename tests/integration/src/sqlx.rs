//! `sqlx migrate run --source FOLDER`, by the library that the command line of sqlx is made of.
//!
//! It stands in for sqlx-cli, which takes minutes to compile: the database is the one of
//! `DATABASE_URL`, read by sqlx itself.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

use std::{env, path::Path, process::ExitCode};

use sqlx::{
    Connection, MySqlConnection, PgConnection,
    migrate::{Migrate, Migrator},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [first, second, option, folder] = &words[..] else { return Err("unknown arguments".into()) };
    if [first, second, option] != ["migrate", "run", "--source"] {
        return Err("unknown arguments".into());
    }
    let migrator = Migrator::new(Path::new(folder)).await?;
    let url = env::var("DATABASE_URL")?;
    if url.starts_with("mysql:") {
        migrate(&migrator, &mut MySqlConnection::connect(&url).await?).await
    } else {
        migrate(&migrator, &mut PgConnection::connect(&url).await?).await
    }
}

/// Applies pending migrations, and prints them as sqlx-cli does.
async fn migrate(migrator: &Migrator, connection: &mut impl Migrate) -> Result<()> {
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let before = connection.list_applied_migrations(&migrator.table_name).await?;
    migrator.run_direct(None, connection, false).await?;
    for migration in migrator.iter() {
        if before.iter().all(|applied| applied.version != migration.version) {
            println!("Applied {}/migrate {}", migration.version, migration.description);
        }
    }
    Ok(())
}
