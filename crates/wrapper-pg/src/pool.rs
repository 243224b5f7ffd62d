//! Pools whose every physical connection comes through the chain, so that each gets a fresh token.

#[cfg(feature = "bb8")]
pub(crate) mod bb8;
#[cfg(feature = "deadpool")]
pub(crate) mod deadpool;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};
use wrapper_adapter::PoolRules;
use wrapper_core::{Error, ErrorKind, Result};

use crate::Connector;
#[cfg(feature = "bb8")]
use crate::session;

/// What a server that takes writes answers `f`.
///
/// Not `SHOW transaction_read_only`: that is `on` at the writer too for a role that is read-only by default.
const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";

/// Opens a connection by the rules of a pool and gives its driver task to the runtime.
async fn open(connector: &Connector, rules: &PoolRules) -> Result<(Client, JoinHandle<()>)> {
    let connect = async {
        let connected = connector.hosts.connect_noted(Some(rules.last_error())).await?;
        let (client, connection) = connected.connection;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "pooled connection ended");
            }
        });
        Ok(Opened { client, task })
    };
    let ask = |opened: Opened| async move {
        let is_writer = is_writer(&opened.client).await?;
        Ok((opened, is_writer))
    };
    let opened = rules.open(connector.hosts.timeout(), connect, ask).await?;
    Ok((opened.client, opened.task))
}

/// A connection that is not known to be wanted.
struct Opened {
    client: Client,
    task: JoinHandle<()>,
}

/// Checks a connection that is taken out of a pool: by asking its role where a writer is expected,
/// else by an empty query, and by the plugins.
#[cfg(feature = "bb8")]
async fn check(client: &Client, connector: &Connector, rules: &PoolRules) -> Result<()> {
    let answers = async {
        let is_writer = match rules.expects_writer() {
            true => is_writer(client).await?,
            false => client.simple_query("").await.map(|_| true).map_err(broken)?,
        };
        connector.check(&mut session(client)).await?;
        Ok(is_writer)
    };
    rules.check(answers).await
}

/// Whether the server that a connection leads to takes writes, as a former writer does not after a failover.
async fn is_writer(client: &Client) -> Result<bool> {
    let messages = client.simple_query(IN_RECOVERY).await.map_err(broken)?;
    Ok(messages.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("f"),
        _ => false,
    }))
}

fn broken(error: tokio_postgres::Error) -> Error {
    Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
}
