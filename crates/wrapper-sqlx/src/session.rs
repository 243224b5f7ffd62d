//! Queries of plugins on a connection of sqlx.

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Column, ColumnIndex, Database, Decode, Executor, Row, Type, error::DatabaseError};
use wrapper_core::{BoxFuture, Error, ErrorKind, Result, ServerError, Session, adapter::Rows};

use crate::Engine;

/// Returns a session for plugins on a connection of sqlx, such as a pooled one:
/// `session::<sqlx::Postgres>(&mut connection)`.
///
/// An answer that is late or too large does not end the connection: drop it then.
pub fn session<D: Engine>(connection: &mut D::Connection) -> impl Session {
    Asks::<D>(connection)
}

struct Asks<'c, D: Engine>(&'c mut D::Connection);

impl<D: Engine> Session for Asks<'_, D> {
    fn engine(&self) -> wrapper_core::Engine {
        D::ENGINE
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        D::query(self.0, sql)
    }
}

/// Collects an answer in the text form that a statement has which is not prepared.
pub(crate) async fn rows<D>(connection: &mut D::Connection, sql: &str) -> Result<Rows>
where
    D: Database,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'r> String: Decode<'r, D> + Type<D>,
    usize: ColumnIndex<D::Row>,
{
    let mut answer = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch(connection);
    let mut rows = None;
    while let Some(row) = answer.try_next().await.map_err(unanswered)? {
        // sqlx tells the columns with the first row only, so an empty answer has none.
        let rows = rows.get_or_insert_with(|| Rows::new(row.columns().iter().map(|column| column.name())));
        // Unchecked: the text of any type is wanted.
        let text = |at: usize| row.try_get_unchecked::<Option<String>, _>(at).map_err(unanswered);
        rows.push((0..row.len()).map(text).collect::<Result<Vec<_>>>()?)?;
    }
    Ok(rows.unwrap_or_default())
}

fn unanswered(error: sqlx::Error) -> Error {
    match error {
        // The driver's error prints the server's text verbatim.
        sqlx::Error::Database(answer) => {
            let answer = ServerError::new(code(&*answer), answer.message(), None);
            Error::new(ErrorKind::Driver, "the server refused a plugin's query").with_source(answer)
        }
        error => {
            Error::new(ErrorKind::Driver, "the server did not answer a plugin's query").with_source(error)
        }
    }
}

/// Returns the SQLSTATE, or MySQL's error number.
pub(crate) fn code(answer: &dyn DatabaseError) -> String {
    #[cfg(feature = "mysql")]
    if let Some(answer) = answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return answer.number().to_string();
    }
    answer.code().unwrap_or_default().into_owned()
}
