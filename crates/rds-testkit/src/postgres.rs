//! The PostgreSQL server.

mod builder;
mod connection;
mod forward;
mod login;
mod query;
mod rows;
mod scram;
mod signal;
mod statement;
mod wire;

use std::ops::Deref;
use std::sync::Arc;

pub use self::builder::PostgresServerBuilder;
use crate::fault::PasswordMethod;
use crate::server::{Running, Shared, server_methods};

/// A PostgreSQL server on 127.0.0.1 that accepts IAM tokens as passwords like RDS.
///
/// It lives in the tokio runtime that started it and stops, with all its connections, when it is
/// dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::PostgresServer;
///
/// let server = PostgresServer::builder()
///     .host("orders.abc123.eu-central-1.rds.amazonaws.com")
///     .region("eu-central-1")
///     .user("shop")
///     .start()
///     .await?;
/// assert_eq!(server.user(), "shop");
/// assert_eq!(server.accepted(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    state: Arc<State>,
    running: Running,
}

/// The state shared by all connections of a server.
#[derive(Debug)]
struct State {
    shared: Shared,
    password_method: PasswordMethod,
}

/// The common state with PostgreSQL's additions.
impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl PostgresServer {
    /// Creates a builder; every setting has a default.
    pub fn builder() -> PostgresServerBuilder {
        PostgresServerBuilder::default()
    }

    server_methods!();

    pub(crate) fn shared(&self) -> &Shared {
        &self.state.shared
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Makes the server a reader, which answers `SHOW transaction_read_only` with `on`, or a writer
    /// again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.set_read_only(read_only);
    }

    /// Removes all faults; connections that hang at a gate stay there.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }
}
