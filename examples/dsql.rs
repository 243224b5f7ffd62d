//! Aurora DSQL: the endpoint's name makes the token a DSQL token, with the action `DbConnectAdmin`
//! for the user `admin`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded_as, plugins_with};
use rds_wrapper::{pg::Connector, plugins};

const USAGE: &str = "usage: dsql [--url postgres://admin@cluster.dsql.region.on.aws/postgres?plugins=iam]";
const HOST: &str = "abcdefghijklmnopqrst123456.dsql.us-east-2.on.aws";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(dsql()).await
}

async fn dsql() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return ask(&Connector::from_url(&url, plugins())?).await;
    }
    for user in ["admin", "jane"] {
        let (server, tokens) = embedded_as(HOST, user).await?;
        let ca = server.ca_file().display();
        let url = format!(
            "postgres://{user}@{HOST}:{}/postgres?hostaddr=127.0.0.1&sslrootcert={ca}&plugins=iam",
            server.port()
        );
        ask(&Connector::from_url(&url, plugins_with(&tokens))?).await?;
    }
    Ok(())
}

async fn ask(connector: &Connector) -> Result {
    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);
    let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
    println!("logged in as `{user}`");
    drop(client);
    task.await??;
    Ok(())
}
