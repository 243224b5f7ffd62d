//! Queries of plugins on a PostgreSQL connection, before and after it is spawned.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use futures_util::TryStreamExt;
use tokio_postgres::{Client, Connection, SimpleQueryMessage, Socket};
use wrapper_core::{BoxFuture, Engine, Error, ErrorKind, Result, ServerError, Session, adapter::Rows};

use crate::TlsStream;

/// The driver's own pair of client and connection.
pub type PgConnection = (Client, Connection<Socket, TlsStream>);

/// Returns a session for plugins on a client whose connection is spawned, such as a pooled one.
///
/// An answer that is late or too large does not end that connection: drop the client then.
pub fn session(client: &Client) -> impl Session {
    Spawned(client)
}

struct Spawned<'c>(&'c Client);

impl Session for Spawned<'_> {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(rows(self.0, sql))
    }
}

/// Queries a connection that is not spawned yet, and drives it for as long as that takes.
pub(crate) async fn query((client, connection): &mut PgConnection, sql: &str) -> Result<Rows> {
    let mut answer = pin!(rows(client, sql));
    // As the driver does for `target_session_attrs`. A connection that is polled again after its
    // end may say that it ended well.
    poll_fn(|context| match Pin::new(&mut *connection).poll(context) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(unanswered(error))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(Error::new(ErrorKind::Connect, "the connection has ended"))),
        Poll::Pending => answer.as_mut().poll(context),
    })
    .await
}

async fn rows(client: &Client, sql: &str) -> Result<Rows> {
    // The simple protocol: any type comes as text, and no prepared statement is left behind.
    let mut messages = pin!(client.simple_query_raw(sql).await.map_err(unanswered)?);
    let mut rows = Rows::default();
    while let Some(message) = messages.try_next().await.map_err(unanswered)? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                rows = Rows::new(columns.iter().map(|column| column.name()));
            }
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|at| row.try_get(at).map_err(unanswered));
                rows.push(values.collect::<Result<Vec<_>>>()?)?;
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn unanswered(error: tokio_postgres::Error) -> Error {
    if let Some(ours) = Error::find(&error) {
        return ours.clone();
    }
    if let Some(answer) = error.as_db_error() {
        // The driver's error prints the server's text verbatim.
        let answer = ServerError::new(answer.code().code(), answer.message(), None);
        return Error::new(ErrorKind::Driver, "the server refused a plugin's query").with_source(answer);
    }
    let kind = if error.is_closed() { ErrorKind::Connect } else { ErrorKind::Driver };
    Error::new(kind, "the server did not answer a plugin's query").with_source(error)
}
