//! The MySQL server.

mod answer;
mod builder;
mod connection;
mod forward;
mod login;
mod rows;
mod scramble;
mod session;
mod statement;
mod trick;
mod wire;

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::builder::MysqlServerBuilder;
pub use self::trick::{AuthPlugin, Trick};
use crate::server::{Running, Shared, server_methods};

/// A MySQL server on 127.0.0.1 that takes IAM tokens for passwords as RDS does.
///
/// It lives in the tokio runtime that started it and stops, with all its connections, when it is dropped.
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

/// What all connections of a server share.
#[derive(Debug)]
struct State {
    shared: Shared,
    plugin: AuthPlugin,
    switch_data: Vec<u8>,
    traffic: Mutex<Traffic>,
    tricks: Mutex<Vec<Trick>>,
}

/// State is what is shared, and what MySQL adds to it.
impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What clients sent beside their logins.
#[derive(Debug, Default)]
struct Traffic {
    clear_text: Vec<u8>,
    files: Vec<Vec<u8>>,
}

impl MysqlServer {
    /// Starts to describe a server; every setting has a default.
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
        self.state.read_only.store(read_only, Ordering::Relaxed);
    }

    /// Takes all faults and tricks away; connections that hang at a gate stay there.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
        self.state.tricks().clear();
    }

    /// Lets the server play a hostile one with this trick, on every connection.
    pub fn play(&self, trick: Trick) {
        self.state.tricks().push(trick);
    }

    /// Returns every byte of packets that came before or without TLS, of all connections.
    ///
    /// A client that takes care sends its request for TLS, 36 bytes, and nothing else.
    #[must_use]
    pub fn clear_text(&self) -> Vec<u8> {
        self.state.traffic().clear_text.clone()
    }

    /// Returns what clients sent when [`Trick::AskForFile`] asked them for a file.
    #[must_use]
    pub fn files(&self) -> Vec<Vec<u8>> {
        self.state.traffic().files.clone()
    }
}

impl State {
    fn tricks(&self) -> MutexGuard<'_, Vec<Trick>> {
        self.tricks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the first trick that `pick` wants.
    fn trick<T>(&self, pick: impl FnMut(&Trick) -> Option<T>) -> Option<T> {
        self.tricks().iter().find_map(pick)
    }

    fn plays(&self, trick: &Trick) -> bool {
        self.tricks().contains(trick)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
