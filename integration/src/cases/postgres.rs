//! The cases of PostgreSQL alone.

use std::process::{Command, Stdio};

use super::{Table, key};
use crate::{
    Result,
    login::{Login, Product},
    machine::Machine,
    report::Report,
    site::{HOST, Seen, Site},
};

/// Runs the cases.
pub(crate) async fn run(site: &Site, machine: &Machine, report: &mut Report) -> Result<()> {
    let mut table = Table { site, report };
    let legacy = Login::by_password(site, "legacy", "legacy password");
    table.login("user with a password", "in as legacy; not asked", legacy, Product::new(&key())?).await?;
    let token = Product::new(&key())?.tokens.rds(HOST, site.port, "jane").await?;
    let in_clear = Login::by_password(site, "jane", token.expose()).with("sslmode", "disable");
    table
        .login(
            "no tls by the driver's own choice",
            "Configuration; not asked",
            in_clear,
            Product::new(&key())?,
        )
        .await?;
    psql(&mut table, machine).await
}

async fn psql(table: &mut Table<'_>, machine: &Machine) -> Result<()> {
    let site = table.site;
    let token = Product::new(&key())?.tokens.rds(HOST, site.port, "jane").await?;
    let target = format!(
        "host={HOST} hostaddr=127.0.0.1 port={} user=jane dbname=postgres sslmode=verify-full sslrootcert={}",
        site.port,
        site.authority().display()
    );
    let program = machine.postgres().ok_or("PostgreSQL is gone")?.join("psql");
    let mut psql = Command::new(program);
    psql.args(["-XAtc", "SELECT current_user", &target])
        .env("PGPASSWORD", token.expose())
        .stdin(Stdio::null());
    let seen = async {
        match tokio::task::spawn_blocking(move || psql.output()).await {
            Ok(Ok(output)) if output.status.success() => {
                let user = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
                Seen { text: format!("in as {user}"), details: Vec::new() }
            }
            other => Seen { text: "refused".to_owned(), details: vec![format!("{other:?}")] },
        }
    };
    let seen = site.observe(seen).await?;
    table.row("psql with a token", "in as jane; accepted", &seen);
    Ok(())
}
