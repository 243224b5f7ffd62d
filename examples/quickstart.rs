//! Connects by IAM token, twice, and shows what happened.
//!
//! Without arguments it starts a server on this machine that checks tokens as RDS does. Against a real database:
//! `--url 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app?plugins=iam&sslrootcert=global-bundle.pem'`,
//! with AWS credentials where the AWS command line finds them.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, argument, embedded, embedded_url, plugins_with};
use rds_wrapper::{Clock, Endpoint, IamTokens, SystemClock, pg::Connector};

const USAGE: &str = "usage: quickstart [--url postgres://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(quickstart()).await
}

async fn quickstart() -> Result {
    match argument("--url", USAGE)? {
        Some(url) => connect_twice(&url, &IamTokens::builder().build()?).await,
        None => {
            let (server, tokens) = embedded().await?;
            println!("server     embedded, on {}", server.addr());
            connect_twice(&embedded_url(&server), &tokens).await
        }
    }
}

async fn connect_twice(url: &str, tokens: &IamTokens) -> Result {
    let connector = Connector::from_url(url, plugins_with(tokens))?;
    for (host, port) in connector.hosts() {
        describe(host, port, connector.user(), tokens).await?;
    }
    println!("answer     {}", ask(&connector).await?);

    let before = tokens.stats();
    ask(&connector).await?;
    let after = tokens.stats();
    println!(
        "again      second connect: {} tokens signed, {} taken from the cache, {} calls for credentials in all",
        after.signed - before.signed,
        after.hits - before.hits,
        after.credentials_calls
    );
    Ok(())
}

async fn describe(host: &str, port: u16, user: &str, tokens: &IamTokens) -> Result {
    let endpoint = Endpoint::parse(host)?;
    let region = endpoint.region().unwrap_or("no region in the name");
    println!("endpoint   {endpoint}: {} ({region})", endpoint.kind());
    if endpoint.region().is_some() {
        let token = tokens.rds(host, port, user).await?;
        let life = token.expires_at().duration_since(SystemClock.now()).unwrap_or_default();
        println!("token      for user `{user}`, good for {} s more", life.as_secs());
    }
    Ok(())
}

/// Opens a connection, asks one question, and closes it.
async fn ask(connector: &Connector) -> Result<String> {
    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(connection);
    let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
    let version: String = client.query_one("SELECT version()", &[]).await?.get(0);
    drop(client);
    task.await??;
    Ok(format!("logged in as `{user}` at {version}"))
}
