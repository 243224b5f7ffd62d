//! A sqlx pool that outlives its first token, because its connect options are kept fresh.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{HOST, Result, USER, argument, tokens};
use rds_testkit::PostgresServer;
use sqlx::{PgPool, postgres::PgPoolOptions};
use wrapper_sqlx::PgFreshPool;

const USAGE: &str = "usage: pool_sqlx [--url postgres://user@endpoint/database]";

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(pool_sqlx()).await
}

async fn pool_sqlx() -> Result {
    if let Some(url) = argument("--url", USAGE)? {
        return use_pool(&PgFreshPool::from_url(&url).await?).await;
    }
    // sqlx verifies the name that it dials, so the embedded server's certificate has to name
    // `localhost` as well.
    let server = PostgresServer::builder().host(HOST).host("localhost").user(USER).start().await?;
    let fresh = PgFreshPool::builder()
        .connection_string(format!("postgres://{USER}@localhost:{}/app?iamHost={HOST}", server.port()))
        .parameter("tlsServerName", "localhost")
        .root_certificates(server.ca_pem())
        .tokens(tokens(server.access_key())?)
        .pool_options(PgPoolOptions::new().max_connections(4))
        .build()
        .await?;
    use_pool(&fresh).await
}

async fn use_pool(fresh: &PgFreshPool) -> Result {
    // The plain pool: for sqlx itself, and for sea-orm's
    // `SqlxPostgresConnector::from_sqlx_postgres_pool`.
    let pool: PgPool = fresh.pool().clone();
    // Needed where the process may have been frozen, as in a Lambda function between invocations.
    fresh.ensure_fresh().await?;
    let user: String = sqlx::query_scalar("SELECT current_user").fetch_one(&pool).await?;
    println!("logged in as `{user}`");
    let left = fresh.freshness().expires_at.duration_since(fresh.freshness().checked_at)?;
    println!("the next connection finds a token that is good for {} s more", left.as_secs());
    pool.close().await;
    Ok(())
}
