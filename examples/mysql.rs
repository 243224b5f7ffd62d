//! The plugin `iam` with MySQL: the counterpart of the NodeJS wrapper's example.
//!
//! `cargo run -p examples --example mysql` uses an embedded server; append
//! `-- --url 'mysql://…'` to connect to yours.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded_mysql};
use mysql_async::prelude::Queryable;
use rds_wrapper::{mysql::Connector, plugins};

const USAGE: &str = "usage: mysql [--url mysql://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(mysql()).await
}

async fn mysql() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return query(&Connector::from_url(&url, plugins())?).await;
    }
    let (_server, _, connector) = embedded_mysql("").await?;
    query(&connector).await
}

async fn query(connector: &Connector) -> Result {
    // This is the driver's own connection: the wrapper takes no part in what follows.
    let mut connection = connector.connect().await?;

    let one: Option<i64> = connection.query_first("SELECT 1").await?;
    println!("SELECT 1 gives {}", one.unwrap_or_default());

    connection.disconnect().await?;
    Ok(())
}
