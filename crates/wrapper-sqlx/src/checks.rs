//! Checks of connections before they are handed out.

use std::{io, sync::Arc, time::Duration};

use sqlx::{Connection, pool::PoolOptions};
use tokio::time::timeout;

use wrapper_topology::takes_writes;

use crate::{Engine, lead::Lead, session};

/// How long a connection may take to answer, unless the program supplies options.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Adds a check to a pool's options: a connection that does not answer a ping within the deadline
/// is closed and replaced.
///
/// sqlx's own check has no limit but `acquire_timeout`. This one takes its place, and that of a
/// `before_acquire` of the options. Over sqlx's rustls closing waits for the server as well, so
/// that a frozen one still uses up one `acquire_timeout`: set one that a caller can bear; the next
/// acquire opens another connection.
///
/// ```
/// # use std::time::Duration;
/// # #[cfg(feature = "postgres")]
/// let options = wrapper_sqlx::check_within(sqlx::postgres::PgPoolOptions::new(),
/// Duration::from_secs(5));
/// ```
pub fn check_within<D: Engine>(options: PoolOptions<D>, deadline: Duration) -> PoolOptions<D> {
    // The pool's own test is a ping without a limit: with both, each check-out would ping twice.
    options.test_before_acquire(false).before_acquire(move |connection, _| {
        Box::pin(async move {
            match timeout(deadline, connection.ping()).await {
                Ok(answer) => answer.map(|()| true),
                // An error: on `false` sqlx would close the connection gracefully, and wait for it.
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    })
}

/// Adds the checks of a pool that is led to the writer: in place of a new connection to a server
/// that takes no writes there is one to the writer, and one that was opened before the writer
/// changed is replaced when it is taken out, without a query; others have to answer a ping within
/// the deadline.
///
/// A connection is replaced in place, because sqlx closes connections gracefully, and a frozen
/// server would never answer.
pub(crate) fn led<D: Engine>(
    options: PoolOptions<D>,
    lead: &Arc<Lead<D>>,
    deadline: Duration,
) -> PoolOptions<D> {
    let (opens, replaces) = (Arc::clone(lead), Arc::clone(lead));
    let options = options.after_connect(move |connection, _| {
        let lead = Arc::clone(&opens);
        Box::pin(async move {
            // DNS may lag behind a failover by its TTL: a new connection can lead to the former
            // writer.
            let asked = timeout(deadline, takes_writes(&mut session::<D>(connection))).await;
            if !matches!(asked, Ok(Ok(true))) {
                lead.topology().suspect();
                *connection = lead.open().await.map_err(sqlx::Error::config)?.connection;
            }
            Ok(())
        })
    });
    options.test_before_acquire(false).before_acquire(move |connection, about| {
        let lead = Arc::clone(&replaces);
        Box::pin(async move {
            if lead.is_outdated(about.age) {
                // `false` closes the new one, which answers: sqlx would count the age of the
                // former.
                *connection = lead.open().await.map_err(sqlx::Error::config)?.connection;
                return Ok(false);
            }
            match timeout(deadline, connection.ping()).await {
                Ok(answer) => answer.map(|()| true),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    })
}
