//! Pools that open every physical connection through the chain, each with a fresh token.

#[cfg(feature = "bb8")]
pub(crate) mod bb8;
#[cfg(feature = "deadpool")]
pub(crate) mod deadpool;
#[cfg(feature = "deadpool")]
mod opened;

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{Client, Connection};
use wrapper_adapter::{PoolRules, takes_writes};
#[cfg(feature = "bb8")]
use wrapper_core::{Error, ErrorKind};
use wrapper_core::{Established, Result};

use crate::{Connector, session};

/// Opens a connection by the rules of a pool and spawns the task that drives it.
async fn open(connector: &Connector, rules: &PoolRules) -> Result<Opened> {
    let connect = async {
        let connected = connector.hosts.connect_noted(Some(rules.last_error())).await?;
        let (client, connection) = connected.connection;
        // Spawned before the role is asked for: without a task nothing reads the answer.
        let driving = Driving::spawn(connection, rules.deadline());
        Ok(Opened { client, driving, established: connected.established })
    };
    let ask = |opened: Opened| async move {
        let is_writer = takes_writes(&mut session(&opened.client)).await?;
        Ok((opened, is_writer))
    };
    rules.open(connector.hosts.timeout(), connect, ask).await
}

/// A connection and the task that drives it; the client is dropped first.
#[derive(Debug)]
struct Opened {
    client: Client,
    #[cfg_attr(not(feature = "deadpool"), expect(dead_code, reason = "only dropped"))]
    driving: Driving,
    established: Established,
}

/// Holds the task that drives a connection.
///
/// The driver waits for all answers before it closes the connection, and a frozen server never
/// sends them: once this is dropped the task has a grace period, and then closes the socket.
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
        // A value lets the task go on; a sender that is dropped starts its grace period.
        let (held, let_go) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                let_go = let_go => match let_go {
                    // The owner of the task's handle aborts it.
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

/// Checks a connection that is taken out of a pool: by its role if a writer is expected, else by an
/// empty query, and by the plugins.
#[cfg(feature = "bb8")]
async fn check(opened: &Opened, connector: &Connector, rules: &PoolRules) -> Result<()> {
    let client = &opened.client;
    let answers = async {
        let is_writer = match rules.expects_writer() {
            true => takes_writes(&mut session(client)).await?,
            false => client.simple_query("").await.map(|_| true).map_err(broken)?,
        };
        // In one future with the query above, so that one deadline bounds both.
        connector.check_established(&mut session(client), &opened.established).await?;
        Ok(is_writer)
    };
    rules.check(answers).await
}

#[cfg(feature = "bb8")]
fn broken(error: tokio_postgres::Error) -> Error {
    Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
}
