//! Asking a server something: what plugins learn of a connection beyond that it is open.

use std::{sync::Arc, time::Duration};

use crate::{BoxFuture, Connected, Engine, Error, ErrorKind, Result, adapter::Driver};

/// How long a server may take to answer one query of a plugin.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a server, over a connection that was just opened or over one that a pool holds.
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
    /// A caller that drops the future must drop the connection as well: the answer is still on its
    /// way.
    fn query<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Rows>>;
}

/// Holds the answer to one statement as text: 1,000 rows and 64 KiB at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    size: usize,
}

impl Rows {
    const MAX_ROWS: usize = 1_000;
    const MAX_SIZE: usize = 64 * 1024;

    /// Creates an answer without rows.
    pub fn new<T: Into<String>>(columns: impl IntoIterator<Item = T>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds a row, for driver adapters.
    ///
    /// # Errors
    ///
    /// A driver error if the answer grows too large; the adapter then ends the connection.
    pub fn push<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = Option<T>>) -> Result<()> {
        let too_large =
            |_| Error::new(ErrorKind::Driver, "the server's answer to a plugin's query is too large");
        if self.rows.len() == Self::MAX_ROWS {
            return Err(too_large(()));
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for value in row {
            // A null costs memory as well.
            let value = value.as_ref().map(AsRef::as_ref);
            self.size += value.map_or(0, str::len) + size_of::<Option<String>>();
            if self.size > Self::MAX_SIZE {
                return Err(too_large(()));
            }
            values.push(value.map(str::to_owned));
        }
        self.rows.push(values);
        Ok(())
    }

    /// Returns the names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the rows; `None` is null.
    pub fn rows(&self) -> &[Vec<Option<String>>] {
        &self.rows
    }

    /// Returns the first value of the first row, for statements that ask for one.
    pub fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// Asks a connection that was just opened, through its driver.
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
                Err(error) => drop(established.abort_handle().abort(error.clone())),
                Ok(_) => {}
            }
            answer
        })
    }
}

/// Bounds the time that a server has for an answer.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(QUERY_TIMEOUT, answer).await.unwrap_or_else(|_| {
        let message = format!("the server did not answer a plugin's query within {QUERY_TIMEOUT:?}");
        Err(Error::new(ErrorKind::Timeout, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_within_the_bounds_is_kept() {
        let mut rows = Rows::new(["a", "b"]);
        rows.push([Some("1"), None]).expect("fits");
        (1..1_000).for_each(|_| rows.push([Some("x")]).expect("fits"));

        assert_eq!((rows.columns().len(), rows.rows().len(), rows.value()), (2, 1_000, Some("1")));
        assert_eq!(rows.rows()[0], [Some("1".to_owned()), None]);
        assert_eq!(Rows::default().value(), None);
    }

    #[test]
    fn answer_beyond_the_bounds_is_an_error() {
        let mut many = Rows::new(["a"]);
        (0..1_000).for_each(|_| many.push([Some("x")]).expect("fits"));
        assert!(many.push([Some("x")]).is_err());

        let mut wide = Rows::new(["a"]);
        assert!(wide.push([Some("x".repeat(64 * 1024).as_str())]).is_err());
        let mut empty = Rows::new(["a"]);
        assert!(empty.push(std::iter::repeat_n(None::<&str>, 1_000_000)).is_err(), "nulls count too");
    }
}
