//! Queries of plugins on a MySQL connection.

use std::borrow::Cow;

use futures_util::FutureExt;
use mysql_async::{Conn, Value, prelude::Queryable};
use wrapper_core::{BoxFuture, Engine, Error, ErrorKind, Result, ServerError, Session, adapter::Rows};

/// Returns a session for plugins on a pooled connection.
pub fn session(connection: &mut Conn) -> impl Session {
    Pooled(connection)
}

struct Pooled<'c>(&'c mut Conn);

impl Session for Pooled<'_> {
    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(query(self.0, sql))
    }
}

pub(crate) async fn query(connection: &mut Conn, sql: &str) -> Result<Rows> {
    // The last borrower abandoned a command, whose pending answer would pass for ours.
    if connection.is_disconnected() {
        return Err(Error::new(ErrorKind::Connect, "the connection has ended"));
    }
    let rows = rows(connection, sql).await;
    match &rows {
        // The rest of the answer is unread. The driver closes a connection when the future of a
        // command on it is dropped, so a ping that is polled once ends it.
        Err(error) if error.server().is_none() => drop(connection.ping().now_or_never()),
        _ => {}
    }
    rows
}

async fn rows(connection: &mut Conn, sql: &str) -> Result<Rows> {
    let mut result = connection.query_iter(sql).await.map_err(query_error)?;
    let mut rows = Rows::new(result.columns_ref().iter().map(|column| column.name_str()));
    while let Some(row) = result.next().await.map_err(query_error)? {
        // Panics only if a value was taken out of the row before, which nobody did.
        let values = row.unwrap();
        rows.push(values.iter().map(text))?;
    }
    Ok(rows)
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
        // Answers to a statement that is not prepared are all text.
        other => Some(other.as_sql(true).into()),
    }
}

fn query_error(error: mysql_async::Error) -> Error {
    match error {
        // The driver's error prints the server's text verbatim.
        mysql_async::Error::Server(answer) => {
            let answer = ServerError::new(answer.code, &answer.message, None);
            Error::new(ErrorKind::Driver, "the server refused a plugin's query").with_source(answer)
        }
        error => {
            let kind = if error.is_fatal() { ErrorKind::Connect } else { ErrorKind::Driver };
            Error::new(kind, "the server did not answer a plugin's query").with_source(error)
        }
    }
}
