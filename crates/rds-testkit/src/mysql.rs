//! The MySQL server.

mod answer;
mod auth_plugin;
mod builder;
mod connection;
mod forward;
mod hostile;
mod kill;
mod login;
mod packet;
mod rows;
mod scramble;
mod session;
mod statement;
mod traffic;
mod wire;

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::auth_plugin::AuthPlugin;
pub use self::builder::MysqlServerBuilder;
pub use self::hostile::HostileBehavior;
use self::traffic::Traffic;

use crate::server::{Running, Shared, server_methods};

/// A MySQL server on 127.0.0.1 that accepts IAM tokens as passwords like RDS.
///
/// It lives in the tokio runtime that started it and stops, with all its connections, when it is
/// dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::MysqlServer;
///
/// let server = MysqlServer::builder()
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
pub struct MysqlServer {
    state: Arc<State>,
    running: Running,
}

/// The state shared by all connections of a server.
#[derive(Debug)]
struct State {
    shared: Shared,
    plugin: AuthPlugin,
    switch_data: Vec<u8>,
    traffic: Mutex<Traffic>,
    behaviors: Mutex<Vec<HostileBehavior>>,
}

/// The common state with MySQL's additions.
impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl MysqlServer {
    /// Creates a builder; every setting has a default.
    pub fn builder() -> MysqlServerBuilder {
        MysqlServerBuilder::default()
    }

    server_methods!();

    pub(crate) fn shared(&self) -> &Shared {
        &self.state.shared
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Makes the server a reader, which answers `SELECT @@read_only` with 1, or a writer again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.set_read_only(read_only);
    }

    /// Removes all faults and hostile behaviors; connections that hang at a gate stay there.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
        self.state.behaviors().clear();
    }

    /// Enables this attack on every connection.
    pub fn misbehave(&self, behavior: HostileBehavior) {
        self.state.behaviors().push(behavior);
    }

    /// Returns the number of sessions that their clients have closed in order, by `COM_QUIT`.
    #[must_use]
    pub fn closed_sessions(&self) -> usize {
        self.state.traffic().closed
    }

    /// Returns the number of sessions whose clients broke off, which a server counts in its status
    /// `Aborted_clients`.
    #[must_use]
    pub fn aborted_sessions(&self) -> usize {
        self.state.traffic().aborted
    }

    /// Returns the bytes received outside of TLS on all connections: the last 1 MiB.
    ///
    /// A careful client sends its request for TLS, 36 bytes, and nothing else.
    #[must_use]
    pub fn clear_text(&self) -> Vec<u8> {
        self.state.traffic().clear_text()
    }

    /// Returns the data sent by clients after [`HostileBehavior::AskForFile`]: the last packets, up
    /// to 16 MiB in total.
    #[must_use]
    pub fn files(&self) -> Vec<Vec<u8>> {
        self.state.traffic().files()
    }
}

impl State {
    fn behaviors(&self) -> MutexGuard<'_, Vec<HostileBehavior>> {
        self.behaviors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the first result of `pick` for the behaviors in force.
    fn behavior<T>(&self, pick: impl FnMut(&HostileBehavior) -> Option<T>) -> Option<T> {
        self.behaviors().iter().find_map(pick)
    }

    fn misbehaves(&self, behavior: &HostileBehavior) -> bool {
        self.behaviors().contains(behavior)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
