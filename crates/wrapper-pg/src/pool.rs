//! Pools whose every physical connection comes through the chain, so that each gets a fresh token.

#[cfg(feature = "bb8")]
pub(crate) mod bb8;
#[cfg(feature = "deadpool")]
pub(crate) mod deadpool;

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{Client, Connection, SimpleQueryMessage};
use wrapper_adapter::PoolRules;
use wrapper_core::{Error, ErrorKind, Result};

use crate::Connector;
#[cfg(feature = "bb8")]
use crate::session;

/// What a server that takes writes answers `f`.
///
/// Not `SHOW transaction_read_only`: that is `on` at the writer too for a role that is read-only by
/// default.
const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";

/// Opens a connection by the rules of a pool and gives its driver task to the runtime.
async fn open(connector: &Connector, rules: &PoolRules) -> Result<Opened> {
    let connect = async {
        let connected = connector.hosts.connect_noted(Some(rules.last_error())).await?;
        let (client, connection) = connected.connection;
        Ok(Opened { client, driving: Driving::spawn(connection, rules.deadline()) })
    };
    let ask = |opened: Opened| async move {
        let is_writer = is_writer(&opened.client).await?;
        Ok((opened, is_writer))
    };
    rules.open(connector.hosts.timeout(), connect, ask).await
}

/// A connection and the task that drives it; the client goes first.
#[derive(Debug)]
struct Opened {
    client: Client,
    #[cfg_attr(not(feature = "deadpool"), expect(dead_code, reason = "only dropped"))]
    driving: Driving,
}

/// Holds the task that drives a connection.
///
/// The driver's task waits for all answers before it says goodbye, which a server that stands still
/// never gives: once this is dropped the task has a grace, and then closes the socket.
#[derive(Debug)]
struct Driving {
    #[cfg_attr(not(feature = "deadpool"), expect(dead_code, reason = "deadpool's own client ends the task"))]
    task: JoinHandle<()>,
    #[cfg_attr(not(feature = "deadpool"), expect(dead_code, reason = "only dropped"))]
    held: oneshot::Sender<()>,
}

impl Driving {
    fn spawn<S, T>(connection: Connection<S, T>, grace: Duration) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (held, let_go) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                let_go = let_go => match let_go {
                    // Whoever has the task's handle ends it.
                    Ok(()) => connection.await,
                    Err(_) => match timeout(grace, connection).await {
                        Ok(ended) => ended,
                        Err(_) => return tracing::debug!("pooled connection closed without an answer"),
                    },
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "pooled connection ended");
            }
        });
        Self { task, held }
    }

    /// Returns the task, which goes on until it is aborted.
    #[cfg(feature = "deadpool")]
    fn into_task(self) -> JoinHandle<()> {
        // Without a receiver the task has ended.
        let _ = self.held.send(());
        self.task
    }
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

/// Returns whether the server that a connection leads to takes writes, as a former writer does not
/// after a failover.
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
