//! A diesel-async pool that gets every physical connection from the connector, with a valid token.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use diesel::{ConnectionError, dsl::sql, select, sql_types::Text};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, deadpool::Pool},
};
use examples::{Result, argument, embedded, embedded_url, plugins_with};
use rds_wrapper::{pg::Connector, plugins};

const USAGE: &str = "usage: pool_diesel [--url postgres://user@endpoint/database?plugins=iam]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(pool_diesel()).await
}

async fn pool_diesel() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return use_pool(Connector::from_url(&url, plugins())?).await;
    }
    let (server, tokens) = embedded().await?;
    // With reuse off, each connect signs anew, as if the previous token had expired.
    let url = embedded_url(&server) + "&iamTokenExpiration=0";
    use_pool(Connector::from_url(&url, plugins_with(&tokens))?).await?;
    println!("{} tokens signed, {} logins refused", tokens.stats().signed, server.refused());
    Ok(())
}

/// Creates a manager that opens connections by the connector; the manager's own URL is ignored.
fn manager(connector: Connector) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(move |_url| {
        let connector = connector.clone();
        Box::pin(async move {
            let (client, connection) = connector.connect().await.map_err(bad_connection)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        })
    });
    AsyncDieselConnectionManager::new_with_config("", config)
}

fn bad_connection(error: rds_wrapper::Error) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}

async fn use_pool(connector: Connector) -> Result {
    let pool = Pool::builder(manager(connector)).max_size(4).build()?;
    let mut held = Vec::new();
    for number in 1..=4 {
        let mut connection = pool.get().await?;
        let user: String = select(sql::<Text>("current_user")).get_result(&mut connection).await?;
        println!("connection {number} is logged in as `{user}`");
        held.push(connection);
    }
    Ok(())
}
