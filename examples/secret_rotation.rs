//! A pool whose password rotates in Secrets Manager while it is in use, unnoticed by the
//! application.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{process::ExitCode, time::Duration};

use examples::{HOST, Result, argument, tokens};
use rds_testkit::{PostgresServer, SecretsServer};
use rds_wrapper::{
    SecretsFactory,
    pg::{
        Connector,
        deadpool::{Client, Pool},
    },
    plugins,
    secrets::SecretsPlugin,
};

const USAGE: &str =
    "usage: secret_rotation [--url postgres://endpoint/database?plugins=awsSecretsManager&secretId=…]";
const ID: &str = "prod/app";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(secret_rotation()).await
}

async fn secret_rotation() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return log_in(&pool(&Connector::from_url(&url, plugins())?)?, "at your database").await;
    }
    // A database and a Secrets Manager on 127.0.0.1 take the place of yours.
    let database = PostgresServer::builder().host(HOST).password_user("app", "first").start().await?;
    let service = SecretsServer::start().await?;
    service.put(ID, r#"{"username":"app","password":"first"}"#);

    // Names no user and no password: both come from the secret.
    let url = format!(
        "postgres://{HOST}:{}/app?hostaddr=127.0.0.1&sslrootcert={}&plugins=awsSecretsManager&secretId={ID}&secretRegion=us-east-2&secretRotationRetryTimeoutMs=20000",
        database.port(),
        database.ca_file().display(),
    );
    let connector = Connector::builder(
        plugins().with(SecretsFactory::with_credentials_of(tokens(service.access_key())?)),
    )
    .connection_string(url)
    .parameter("secretEndpoint", service.url())
    .build()?;
    let pool = pool(&connector)?;
    log_in(&pool, "before the rotation").await?;

    // Single-user rotation: the database takes the new password before the secret is current.
    service.rotate(ID, r#"{"username":"app","password":"second"}"#);
    database.token_policy().add_password_user("app", "second");
    let rotation = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        service.finish_rotation(ID);
        Ok(())
    };
    tokio::try_join!(log_in(&pool, "in the window of a rotation by one user"), rotation)?;

    // Alternating-users rotation: the secret switches to the clone, and the former user's password
    // changes at the next rotation.
    database.token_policy().add_password_user("app_clone", "third");
    service.rotate(ID, r#"{"username":"app_clone","password":"third"}"#);
    service.finish_rotation(ID);
    database.token_policy().add_password_user("app", "closed");
    log_in(&pool, "after a rotation by two users").await?;

    let stats =
        connector.plugin::<SecretsPlugin>().map(|plugin| plugin.secrets().stats()).unwrap_or_default();
    println!(
        "{} calls of the service, {} rotations, {} logins refused",
        stats.loads,
        stats.rotations,
        database.refused()
    );
    Ok(())
}

fn pool(connector: &Connector) -> Result<Pool> {
    Ok(Pool::builder(connector.deadpool_manager()).max_size(4).build()?)
}

/// Opens another physical connection of the pool.
async fn log_in(pool: &Pool, when: &str) -> Result {
    let client = pool.get().await?;
    let user: String = client.query_one("SELECT current_user", &[]).await?.get(0);
    println!("{when}: logged in as `{user}`");
    // Taken out of the pool, so that the next check-out has to log in again.
    drop(Client::take(client));
    Ok(())
}
