//! Pools that open every physical connection through the chain, each with a fresh token.
//!
//! The driver's own pool keeps the password that it was built with, and is not used.

#[cfg(feature = "bb8")]
pub(crate) mod bb8;
#[cfg(feature = "deadpool")]
pub(crate) mod deadpool;
mod opened;

use std::{
    future::pending,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mysql_async::{Conn, Row, prelude::Queryable};
use tokio::time::sleep;
use wrapper_adapter::{PoolRules, takes_writes};
use wrapper_core::{Error, ErrorKind, Established, Result};

use self::opened::Opened;
use crate::{Connector, session};

/// The interval at which a connection that has not answered its check yet is tested for being
/// outdated.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// The treatment of a connection before it is handed out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recycling {
    /// Asks whether the server is still there; the session's state stays.
    Ping,
    /// Resets the session (temporary tables, variables, open transactions), as the driver's own
    /// pool does.
    #[default]
    Reset,
}

/// Manages pooled connections, for `deadpool::managed::Pool` and `bb8::Pool` alike.
///
/// A connection on which a statement or a check-out was abandoned is never handed out again,
/// because its pending answer would pass for that to the next statement: each check ends with a
/// query whose answer is unique.
///
/// bb8 returns "Timed out in bb8" to every waiter; [`Connector::last_error`] has the reason.
#[derive(Clone, Debug)]
pub struct MysqlManager {
    connector: Connector,
    recycling: Recycling,
    rules: PoolRules,
    opened: Opened,
}

impl MysqlManager {
    /// Creates a manager whose connections come from a connector.
    pub fn new(connector: Connector) -> Self {
        let rules = connector.rules.clone();
        Self { connector, recycling: Recycling::default(), rules, opened: Opened::default() }
    }

    /// Sets how a connection is recycled before it is handed out again; by default it is reset.
    #[must_use]
    pub fn recycling(mut self, recycling: Recycling) -> Self {
        self.recycling = recycling;
        self
    }

    wrapper_adapter::pool_methods!();

    async fn open(&self) -> Result<Conn> {
        let hosts = &self.connector.hosts;
        let ask = |mut connection: Conn| async move {
            let is_writer = takes_writes(&mut session(&mut connection)).await?;
            Ok((connection, is_writer))
        };
        let connect = async {
            let connected = hosts.connect_noted(Some(self.rules.last_error())).await?;
            self.opened.note(&connected.connection, connected.established);
            Ok(connected.connection)
        };
        self.rules.open(hosts.timeout(), connect, ask).await
    }

    async fn recycle_connection(&self, connection: &mut Conn) -> Result<()> {
        let established = self.opened.of(connection);
        let check = async {
            tokio::select! {
                biased;
                cleaned = self.clean(connection) => cleaned,
                // A frozen server would never answer.
                () = self.outdates(established) => Err(outdated()),
            }
        };
        self.rules.check(check).await
    }

    /// Waits until a connection is outdated, by polling: plugins offer no notification.
    async fn outdates(&self, established: Option<Established>) {
        let Some(established) = established else { return pending().await };
        while !self.connector.hosts.is_outdated(&established) {
            sleep(POLL_EVERY).await;
        }
    }

    /// Prepares a connection for its next user, and returns whether it leads to a writer, if one is
    /// expected.
    async fn clean(&self, connection: &mut Conn) -> Result<bool> {
        // The last borrower abandoned a command, whose pending answer would pass for ours.
        if connection.is_disconnected() {
            return Err(Error::new(ErrorKind::Driver, "a statement was abandoned on the pooled connection"));
        }
        // The driver's stream cannot be ended from elsewhere, so an outdated connection is detected
        // here, without a query that a failed server would not answer.
        let established = self.opened.of(connection);
        if established.as_ref().is_some_and(|it| self.connector.hosts.is_outdated(it)) {
            return Err(outdated());
        }
        match self.recycling {
            Recycling::Ping => prove_in_step(connection).await?,
            // For a server too old for a reset the driver would log in again, with an expired
            // token.
            Recycling::Reset if !connection.reset().await.map_err(broken)? => {
                return Err(Error::new(ErrorKind::Driver, "the server cannot reset a connection"));
            }
            Recycling::Reset => {}
        }
        let is_writer = match (self.rules.expects_writer(), self.recycling) {
            // The command before returned no rows, so a pending answer cannot pass for this one.
            (true, _) => takes_writes(&mut session(connection)).await?,
            (false, Recycling::Reset) => prove_in_step(connection).await.map(|()| true)?,
            (false, Recycling::Ping) => true,
        };
        self.connector.hosts.check(&mut session(connection), established.as_ref()).await?;
        Ok(is_writer)
    }
}

fn outdated() -> Error {
    Error::new(ErrorKind::WrongInstance, "the pooled connection was opened before the writer changed")
}

/// Runs a query with a unique answer: the pending answer to a statement that was abandoned while
/// its connection stayed in use cannot match it.
async fn prove_in_step(connection: &mut Conn) -> Result<()> {
    static LAST: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 2));

    let asked = LAST.fetch_add(1, Ordering::Relaxed);
    let answer: Option<Row> = connection.query_first(format!("SELECT {asked}")).await.map_err(broken)?;
    match answer.and_then(|mut answer| answer.take_opt::<String, _>(0)?.ok()) {
        Some(answer) if answer == asked.to_string() => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Driver,
            "the pooled connection returned the answer to an earlier statement",
        )),
    }
}

fn broken(error: mysql_async::Error) -> Error {
    Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
}
