//! Pools whose every physical connection comes through the chain, so that each gets a fresh token.

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;

#[cfg(feature = "bb8")]
pub use bb8::Bb8Manager;
#[cfg(feature = "deadpool")]
pub use deadpool::expect_writer;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};
use wrapper_core::Result;

use crate::Connector;

/// What a server that takes writes answers `off`.
const READ_ONLY: &str = "SHOW transaction_read_only";

/// Opens a connection and gives its driver task to the runtime.
async fn open(connector: &Connector) -> Result<(Client, JoinHandle<()>)> {
    let (client, connection) = connector.connect().await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "pooled connection ended");
        }
    });
    Ok((client, task))
}

/// Whether the server that a connection leads to is read-only, as a former writer is after a failover.
async fn is_read_only(client: &Client) -> std::result::Result<bool, tokio_postgres::Error> {
    let messages = client.simple_query(READ_ONLY).await?;
    Ok(messages.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
        _ => false,
    }))
}
