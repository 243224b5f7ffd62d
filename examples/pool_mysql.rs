//! A pool of MySQL connections that outlives its first token: every physical connection gets a
//! valid one.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded_mysql};
use mysql_async::prelude::Queryable;
use rds_wrapper::{
    mysql::{Connector, deadpool::Pool},
    plugins,
};

const USAGE: &str = "usage: pool_mysql [--url mysql://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(pool_mysql()).await
}

async fn pool_mysql() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return use_pool(&Connector::from_url(&url, plugins())?).await;
    }
    // With reuse off, each connect signs anew, as if the previous token had expired.
    let (server, tokens, connector) = embedded_mysql("&iamTokenExpiration=0").await?;
    use_pool(&connector).await?;
    println!("{} tokens signed, {} logins refused", tokens.stats().signed, server.refused());
    Ok(())
}

async fn use_pool(connector: &Connector) -> Result {
    // Checks the role at each check-out, so that after a failover none leads to the former writer.
    let pool = Pool::builder(connector.deadpool_manager().expect_writer()).max_size(4).build()?;
    let mut held = Vec::new();
    for number in 1..=4 {
        let mut connection = pool.get().await.map_err(|error| connector.last_error().explain(error))?;
        let user: Option<String> = connection.query_first("SELECT CURRENT_USER()").await?;
        println!("connection {number} is logged in as `{}`", user.unwrap_or_default());
        held.push(connection);
    }
    Ok(())
}
