//! The plugin `iam` with PostgreSQL: the counterpart of the NodeJS wrapper's example.
//!
//! `cargo run -p examples --example postgres` uses an embedded server; append
//! `-- --url 'postgres://…'` to connect to yours.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded, embedded_url, plugins_with};
use rds_wrapper::{pg::Connector, plugins};

const USAGE: &str = "usage: postgres [--url postgres://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(postgres()).await
}

async fn postgres() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return query(&Connector::from_url(&url, plugins())?).await;
    }
    let (server, tokens) = embedded().await?;
    query(&Connector::from_url(&embedded_url(&server), plugins_with(&tokens))?).await
}

async fn query(connector: &Connector) -> Result {
    // This is the driver's own pair: the wrapper takes no part in what follows.
    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);

    let row = client.query_one("SELECT 1", &[]).await?;
    println!("SELECT 1 gives {}", row.get::<_, i32>(0));

    drop(client);
    task.await??;
    Ok(())
}
