//! Queries of plugins on a connection.

use std::{sync::Arc, time::Duration};

use crate::{
    BoxFuture, Connected, Engine, Error, ErrorKind, Result,
    adapter::{Driver, Rows},
};

/// How long a server may take to answer one query of a plugin.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs queries of plugins, on a connection that was just opened or on a pooled one.
pub trait Session: Send {
    /// Returns the engine of the server.
    fn engine(&self) -> Engine;

    /// Returns a value that the server reported by itself, which costs no round trip; `None` where
    /// the driver shows none.
    ///
    /// PostgreSQL reports `in_hot_standby` and `server_version`, but the driver shows them only
    /// until its connection is spawned.
    fn parameter(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// Runs one statement and collects its answer as text.
    ///
    /// # Errors
    ///
    /// A server's refusal carries a [`ServerError`](crate::ServerError). An answer that exceeds
    /// [`Rows`] or the time for it ends the connection.
    ///
    /// # Cancel safety
    ///
    /// A caller that drops the future must drop the connection as well: the answer is still to be
    /// read, and would pass for that to the next query.
    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>>;
}

/// Runs queries on a connection that was just opened, through its driver.
pub(crate) struct Fresh<'c, C> {
    pub(crate) driver: Arc<dyn Driver<Connection = C>>,
    pub(crate) connected: &'c mut Connected<C>,
}

impl<C: Send + 'static> Session for Fresh<'_, C> {
    fn engine(&self) -> Engine {
        self.driver.engine()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.driver.parameter(&self.connected.connection, name)
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(async move {
            let Connected { connection, established } = &mut *self.connected;
            let answer = in_time(self.driver.query(connection, sql)).await;
            match &answer {
                // The connection is as good as before.
                Err(error) if error.server().is_some() => {}
                // The rest of a late or oversized answer would pass for the answer to the next
                // query.
                Err(error) => drop(established.abort_handle().abort(error.clone())),
                Ok(_) => {}
            }
            answer
        })
    }
}

/// Bounds the time that a server has for an answer.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    // The limit drops the query halfway: its caller has to end the connection.
    tokio::time::timeout(QUERY_TIMEOUT, answer).await.unwrap_or_else(|_| {
        let message = format!("the server did not answer a plugin's query within {QUERY_TIMEOUT:?}");
        Err(Error::new(ErrorKind::Timeout, message))
    })
}
