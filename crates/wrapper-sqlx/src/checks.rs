//! Checking connections before they are handed out.

use std::{io, time::Duration};

use sqlx::{Connection, pool::PoolOptions};
use tokio::time::timeout;

use crate::Engine;

/// How long a connection may take to answer, where the program brings no options.
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
/// let options = wrapper_sqlx::check_within(sqlx::postgres::PgPoolOptions::new(), Duration::from_secs(5));
/// ```
pub fn check_within<D: Engine>(options: PoolOptions<D>, deadline: Duration) -> PoolOptions<D> {
    options.test_before_acquire(false).before_acquire(move |connection, _| {
        Box::pin(async move {
            match timeout(deadline, connection.ping()).await {
                Ok(answer) => answer.map(|()| true),
                // An error, because sqlx says goodbye to what is merely not wanted.
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    })
}
