//! A plugin of one's own: it times connects, out of a closure.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;

use examples::{Result, embedded, embedded_url, plugins_with};
use rds_wrapper::{
    ConnectRequest, Next,
    pg::{Connector, PgConnection},
    plugin_fn,
};
use tokio::time::Instant;

#[tokio::main]
async fn main() -> ExitCode {
    examples::run(custom_plugin()).await
}

async fn custom_plugin() -> Result {
    let (server, tokens) = embedded().await?;
    let timer = plugin_fn("timer", |request: ConnectRequest, next: Next<'_, PgConnection>| {
        Box::pin(async move {
            let (host, start) = (request.host().to_owned(), Instant::now());
            let outcome = next.run(request).await;
            println!(
                "{host}: {} after {:.1?}",
                if outcome.is_ok() { "open" } else { "failed" },
                start.elapsed()
            );
            outcome
        })
    });
    let connector = Connector::builder(plugins_with(&tokens))
        .connection_string(embedded_url(&server))
        .plugin(timer)
        .build()?;
    for _ in 0..3 {
        let (client, connection) = connector.connect().await?;
        let task = tokio::spawn(connection);
        drop(client);
        task.await??;
    }
    Ok(())
}
