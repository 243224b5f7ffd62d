//! An example of an application's own test, with a pool of sqlx.

use std::time::Duration;

use rds_testkit::{PostgresServer, Rows};
use wrapper_sqlx::PgFreshPool;

const ORDERS: &str = "SELECT count(*) FROM orders";

/// The application: a handler's body.
async fn orders(pool: &PgFreshPool) -> Result<i64, Box<dyn std::error::Error>> {
    pool.ensure_fresh().await?;
    Ok(sqlx::query_scalar(ORDERS).fetch_one(pool.pool()).await?)
}

#[tokio::test]
async fn application_survives_the_end_of_its_token() -> Result<(), Box<dyn std::error::Error>> {
    let rds = PostgresServer::builder()
        .certificate_name("localhost")
        .answer(ORDERS, Rows::new(["count"]).row([7_i64.into()]))
        .start()
        .await?;
    let pool = PgFreshPool::builder()
        .connection_string(rds.url())
        .parameter("tlsServerName", "localhost")
        .tokens(rds.token_provider()?)
        .build()
        .await?;
    assert_eq!(orders(&pool).await?, 7);
    rds.advance(Duration::from_secs(901));
    rds.drop_connections();
    assert_eq!(orders(&pool).await?, 7);
    assert!(rds.accepted() >= 2 && rds.refused() == 0, "{:?}", rds.attempts());
    Ok(())
}
