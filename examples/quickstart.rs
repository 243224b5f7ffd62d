//! Connects twice with IAM authentication and prints what happened.
//!
//! Without arguments it starts a PostgreSQL server on this machine that checks tokens as RDS does;
//! with `--engine mysql`, a MySQL server. To use a real database, with credentials from where the
//! AWS CLI finds them, pass `--url
//! 'postgres://jane@db.abc123.us-east-2.rds.amazonaws.com/app?plugins=iam&sslrootcert=global-bundle.pem'`,
//! or `mysql://…`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, embedded, embedded_mysql, embedded_url, option_and_value, plugins_with};
use mysql_async::prelude::Queryable;
use rds_wrapper::{
    IamTokenProvider,
    host::Endpoint,
    iam::{Clock, SystemClock},
    mysql, pg,
};

const USAGE: &str =
    "usage: quickstart [--engine postgres|mysql] or [--url postgres://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(quickstart()).await
}

async fn quickstart() -> Result {
    let given = option_and_value(USAGE)?;
    match given.as_ref().map(|(option, value)| (option.as_str(), value.as_str())) {
        None | Some(("--engine", "postgres")) => {
            let (server, tokens) = embedded().await?;
            println!("server     embedded, on {}", server.addr());
            let connector = pg::Connector::from_url(&embedded_url(&server), plugins_with(&tokens))?;
            connect_twice(Database::Postgres(connector), &tokens).await
        }
        Some(("--engine", "mysql")) => {
            let (server, tokens, connector) = embedded_mysql("").await?;
            println!("server     embedded, on {}", server.addr());
            connect_twice(Database::Mysql(connector), &tokens).await
        }
        Some(("--url", url)) => {
            let tokens = IamTokenProvider::builder().build()?;
            let database = match url.split_once("://") {
                Some(("mysql", _)) => {
                    Database::Mysql(mysql::Connector::from_url(url, plugins_with(&tokens))?)
                }
                _ => Database::Postgres(pg::Connector::from_url(url, plugins_with(&tokens))?),
            };
            connect_twice(database, &tokens).await
        }
        Some(_) => Err(USAGE.into()),
    }
}

async fn connect_twice(database: Database, tokens: &IamTokenProvider) -> Result {
    let (hosts, user) = database.describe();
    for (host, port) in hosts {
        describe(&host, port, &user, tokens).await?;
    }
    println!("answer     {}", database.ask().await?);

    let before = tokens.stats();
    database.ask().await?;
    let after = tokens.stats();
    println!(
        "again      second connect: {} tokens signed, {} taken from the cache, {} calls for credentials in \
         all",
        after.signed - before.signed,
        after.hits - before.hits,
        after.credentials_calls
    );
    Ok(())
}

/// Prints what the host's name tells, and the token for it.
async fn describe(host: &str, port: u16, user: &str, tokens: &IamTokenProvider) -> Result {
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

/// The connector of either driver.
enum Database {
    Mysql(mysql::Connector),
    Postgres(pg::Connector),
}

impl Database {
    fn describe(&self) -> (Vec<(String, u16)>, String) {
        let owned = |(host, port): (&str, u16)| (host.to_owned(), port);
        match self {
            Database::Mysql(connector) => {
                (connector.hosts().map(owned).collect(), connector.user().to_owned())
            }
            Database::Postgres(connector) => {
                (connector.hosts().map(owned).collect(), connector.user().to_owned())
            }
        }
    }

    /// Opens a connection, asks for the user and the server's version, and closes it.
    async fn ask(&self) -> Result<String> {
        let (user, version) = match self {
            Database::Mysql(connector) => {
                let mut connection = connector.connect().await?;
                let row: Option<(String, String)> =
                    connection.query_first("SELECT CURRENT_USER(), VERSION()").await?;
                connection.disconnect().await?;
                row.ok_or("the server gave no answer")?
            }
            Database::Postgres(connector) => {
                let (client, connection) = connector.connect().await?;
                let task = tokio::spawn(connection);
                let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
                let version: String = client.query_one("SELECT version()", &[]).await?.get(0);
                drop(client);
                task.await??;
                (user, version)
            }
        };
        Ok(format!("logged in as `{user}` at {version}"))
    }
}
