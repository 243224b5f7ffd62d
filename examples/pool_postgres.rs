//! A deadpool pool that outlives its first token: every physical connection gets a valid one.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded, embedded_url, plugins_with};
use rds_wrapper::{pg::Connector, plugins};

const USAGE: &str = "usage: pool_postgres [--url postgres://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(pool_postgres()).await
}

async fn pool_postgres() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return use_pool(&Connector::from_url(&url, plugins())?).await;
    }
    let (server, tokens) = embedded().await?;
    // With reuse off, each connect signs anew, as if the previous token had expired.
    let url = embedded_url(&server) + "&iamTokenExpiration=0";
    use_pool(&Connector::from_url(&url, plugins_with(&tokens))?).await?;
    println!("{} tokens signed, {} logins refused", tokens.stats().signed, server.refused());
    Ok(())
}

async fn use_pool(connector: &Connector) -> Result {
    // Checks the role at each check-out, so that after a failover none leads to the former writer.
    let pool = connector.deadpool().expect_writer().builder().max_size(4).build()?;
    let mut held = Vec::new();
    for number in 1..=4 {
        let client = pool.get().await.map_err(|error| connector.last_error().explain(error))?;
        let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
        println!("connection {number} is logged in as `{user}`");
        held.push(client);
    }
    Ok(())
}
