//! A web application, axum over a sqlx pool, and a test that it outlives its first IAM token.
//!
//! `cargo test -p examples --example axum_sqlx` runs the test.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use axum::{Router, extract::State, http::StatusCode, routing::get};
use wrapper_sqlx::PgFreshPool;

/// The application: one handler and the pool behind it.
fn app(pool: PgFreshPool) -> Router {
    Router::new().route("/orders", get(count_orders)).with_state(pool)
}

async fn count_orders(State(pool): State<PgFreshPool>) -> Result<String, StatusCode> {
    // Needed only where the process can be frozen while its token expires, as in AWS Lambda.
    pool.ensure_fresh().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let count = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool.pool()).await;
    count.map(|count: i64| count.to_string()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(url) = std::env::args().nth(1) else {
        println!("usage: axum_sqlx postgres://user@endpoint/database");
        return Ok(());
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/orders", listener.local_addr()?);
    Ok(axum::serve(listener, app(PgFreshPool::from_url(&url).await?)).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{body::Body, http::Request};
    use rds_testkit::{PostgresServer, Rows};
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> Result<String, Box<dyn std::error::Error>> {
        let response = app.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
        assert_eq!(response.status(), StatusCode::OK);
        Ok(String::from_utf8(axum::body::to_bytes(response.into_body(), 1024).await?.to_vec())?)
    }

    #[tokio::test]
    async fn application_survives_the_end_of_its_token() -> Result<(), Box<dyn std::error::Error>> {
        let rds = PostgresServer::builder()
            .certificate_name("localhost")
            .answer("SELECT count(*) FROM orders", Rows::new(["count"]).row([7_i64.into()]))
            .start()
            .await?;
        let pool = PgFreshPool::builder()
            .connection_string(rds.url())
            .parameter("tlsServerName", "localhost")
            .tokens(rds.token_provider()?)
            .build()
            .await?;
        let app = app(pool);
        assert_eq!(get(&app, "/orders").await?, "7");

        rds.advance(Duration::from_secs(901)); // RDS refuses the first token from now on.
        rds.drop_connections();

        assert_eq!(get(&app, "/orders").await?, "7");
        assert!(rds.accepted() >= 2 && rds.refused() == 0, "{:?}", rds.attempts());
        Ok(())
    }

    /// Returns the source of the test above as the READMEs quote it.
    fn quoted_test() -> String {
        let (_, rest) =
            include_str!("axum_sqlx.rs").split_once("    #[tokio::test]\n").expect("the test is there");
        let (body, _) = rest.split_once("\n    }\n").expect("it ends");
        let lines = body.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
        format!("#[tokio::test]\n{}\n}}\n", lines.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn readmes_quote_the_test_above() {
        let quoted = quoted_test();
        assert!(quoted.lines().count() < 25, "{quoted}");
        for readme in [include_str!("../README.md"), include_str!("../crates/rds-testkit/README.md")] {
            assert!(readme.contains(&quoted), "a README lacks this test:\n{quoted}");
        }
    }
}
