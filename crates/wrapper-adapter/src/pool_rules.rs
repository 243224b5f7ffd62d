//! The part of a pool manager that is the same for both engines.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use wrapper_core::{Error, ErrorKind, Result};
use wrapper_topology::WriterPace;

use crate::{LastError, last_error::unanswered};

/// How long a check may take by default.
const DEADLINE: Duration = Duration::from_secs(5);

/// Opens and checks the connections of a connector's pools: within a deadline, to a writer if one
/// is expected, and at a bounded pace.
///
/// Clones share the pace and the last error.
#[derive(Clone)]
pub struct PoolRules {
    deadline: Duration,
    expects_writer: bool,
    place: Arc<str>,
    pace: Arc<WriterPace>,
    last_error: LastError,
}

impl PoolRules {
    /// Creates rules for connections to a place, by its name in messages.
    pub fn new(place: &str) -> Self {
        Self {
            deadline: DEADLINE,
            expects_writer: false,
            place: place.into(),
            pace: Arc::default(),
            last_error: LastError::default(),
        }
    }

    /// Sets how long a check may take.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns how long a check may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Accepts connections to a writer only.
    #[must_use]
    pub fn with_writer(mut self) -> Self {
        self.expects_writer = true;
        self
    }

    /// Returns whether only connections to a writer are taken.
    pub fn expects_writer(&self) -> bool {
        self.expects_writer
    }

    /// Returns the last error of the pools.
    pub fn last_error(&self) -> &LastError {
        &self.last_error
    }

    /// Opens a connection and, where a writer is expected, checks that it leads to one.
    ///
    /// After a connection to a reader, attempts wait for their turn, `patience` at most: 100 ms,
    /// doubled up to 1.6 s.
    ///
    /// # Errors
    ///
    /// That of the connect; [`ErrorKind::WrongInstance`] for a read-only server.
    pub async fn open<C, F>(
        &self,
        patience: Duration,
        connect: impl Future<Output = Result<C>>,
        is_writer: impl FnOnce(C) -> F,
    ) -> Result<C>
    where
        F: Future<Output = Result<(C, bool)>>,
    {
        let opened = match self.expects_writer {
            true => self.open_writer(patience, connect, is_writer).await,
            false => connect.await,
        };
        // Only of attempts that ended: one that is dropped is noted by the guard in
        // `connect_noted`.
        self.last_error.note(&opened);
        opened
    }

    async fn open_writer<C, F>(
        &self,
        patience: Duration,
        connect: impl Future<Output = Result<C>>,
        is_writer: impl FnOnce(C) -> F,
    ) -> Result<C>
    where
        F: Future<Output = Result<(C, bool)>>,
    {
        // Bounded by the deadline: a server that accepts logins may still be frozen for queries.
        let check = |connection| async move {
            let (connection, is_writer) = self.within(is_writer(connection)).await?;
            self.judge(is_writer).map(|()| connection)
        };
        self.pace.open(Instant::now() + patience, connect, check).await
    }

    /// Checks a connection before it is handed out again; the check returns whether it leads to a
    /// writer.
    ///
    /// # Errors
    ///
    /// That of the check; [`ErrorKind::Timeout`] past the deadline, [`ErrorKind::WrongInstance`]
    /// for a read-only server.
    pub async fn check(&self, check: impl Future<Output = Result<bool>>) -> Result<()> {
        let running = self.last_error.begin(None);
        let checked = self.within(check).await;
        // Ended without a verdict, which follows: a guard that is dropped unended counts as a
        // failure.
        running.end();
        let judged = checked.and_then(|is_writer| self.judge(is_writer));
        if let Err(error) = &judged {
            self.last_error.note_error(error);
            // The next connects would reach the same reader until the failover ends.
            if error.kind() == ErrorKind::WrongInstance {
                self.pace.suspect(error);
            }
        }
        judged
    }

    async fn within<T>(&self, check: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(self.deadline, check).await.unwrap_or_else(|_| Err(unanswered(self.deadline)))
    }

    fn judge(&self, is_writer: bool) -> Result<()> {
        if is_writer || !self.expects_writer {
            return Ok(());
        }
        let message = format!(
            "{} leads to a read-only server, but a writer is expected: use the cluster's writer endpoint, or \
             wait for the end of a failover",
            self.place
        );
        Err(Error::new(ErrorKind::WrongInstance, message))
    }
}

impl fmt::Debug for PoolRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolRules")
            .field("deadline", &self.deadline)
            .field("expects_writer", &self.expects_writer)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

/// Writes the methods `expect_writer` and `deadline` of a pool's manager or settings, over a field
/// `rules` that is a [`PoolRules`](crate::PoolRules).
#[macro_export]
macro_rules! pool_methods {
    () => {
        /// Accepts connections to a writer only: the role is queried when a connection is opened
        /// and when it is taken out of the pool, which costs a round trip each time unless it
        /// replaces that of another check; off by default.
        ///
        /// A read-only server is
        /// [`ErrorKind::WrongInstance`](wrapper_core::ErrorKind::WrongInstance), and further logins
        /// to it are delayed, for longer each time.
        #[must_use = "the changed value is returned"]
        pub fn expect_writer(mut self) -> Self {
            self.rules = self.rules.with_writer();
            self
        }

        /// Sets how long a connection may take to answer a check before it is dropped; five seconds
        /// by default.
        #[must_use = "the changed value is returned"]
        pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
            self.rules = self.rules.with_deadline(deadline);
            self
        }
    };
}
