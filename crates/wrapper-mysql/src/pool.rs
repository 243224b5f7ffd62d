//! Pools whose every physical connection comes through the chain, so that each gets a fresh token.
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

/// How often it is looked whether a connection that does not answer its check is outdated.
const LOOK: Duration = Duration::from_millis(50);

/// Says what is done to a connection before it is handed out again.
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
/// A connection on which a statement or a check-out was given up is never handed out again, because
/// the answer that is still on its way would pass for the next one's: each check ends with a
/// question whose answer cannot be another's.
///
/// bb8 tells every waiter "Timed out in bb8", regardless of the reason: [`Connector::last_error`]
/// knows it.
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

    /// Sets what is done to a connection before it is handed out again; a reset by default.
    #[must_use]
    pub fn recycling(mut self, recycling: Recycling) -> Self {
        self.recycling = recycling;
        self
    }

    /// Takes connections to a writer only: each is asked for its role when it is opened and when it
    /// is taken out of the pool, as after a failover; off by default.
    ///
    /// It costs a round trip at the connect. A read-only server is [`ErrorKind::WrongInstance`],
    /// and is logged in to ever more slowly.
    #[must_use]
    pub fn expect_writer(mut self) -> Self {
        self.rules = self.rules.with_writer();
        self
    }

    /// Sets how long a connection may take to answer a check before it is dropped; five seconds by
    /// default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.rules = self.rules.with_deadline(deadline);
        self
    }

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
                // Its server may stand still and never answer.
                () = self.outdates(established) => Err(outdated()),
            }
        };
        self.rules.check(check).await
    }

    /// Waits until a connection is outdated; the plugins have nothing to wait for.
    async fn outdates(&self, established: Option<Established>) {
        let Some(established) = established else { return pending().await };
        while !self.connector.hosts.is_outdated(&established) {
            sleep(LOOK).await;
        }
    }

    /// Makes a connection ready for its next user, and says whether it leads to a writer where that
    /// matters.
    async fn clean(&self, connection: &mut Conn) -> Result<bool> {
        // The last borrower gave up a command; its answer would pass for the answer to ours.
        if connection.is_disconnected() {
            return Err(Error::new(ErrorKind::Driver, "a statement was given up on the pooled connection"));
        }
        // The driver's stream cannot be ended from elsewhere; a server that is gone would not
        // answer either.
        let established = self.opened.of(connection);
        if established.as_ref().is_some_and(|it| self.connector.hosts.is_outdated(it)) {
            return Err(outdated());
        }
        match self.recycling {
            Recycling::Ping => prove_in_step(connection).await?,
            // A server too old for a reset would have the driver log in again, with a token that
            // has ended.
            Recycling::Reset if !connection.reset().await.map_err(broken)? => {
                return Err(Error::new(ErrorKind::Driver, "the server cannot reset a connection"));
            }
            Recycling::Reset => {}
        }
        let is_writer = match (self.rules.expects_writer(), self.recycling) {
            // What was asked just before gives no rows, so that no late answer passes for this one.
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

/// Asks what has not been asked before: a late answer to something else, of a statement that was
/// given up while its connection went on being used, is not the answer to this.
async fn prove_in_step(connection: &mut Conn) -> Result<()> {
    static LAST: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 2));

    let asked = LAST.fetch_add(1, Ordering::Relaxed);
    let answer: Option<Row> = connection.query_first(format!("SELECT {asked}")).await.map_err(broken)?;
    match answer.and_then(|mut answer| answer.take_opt::<String, _>(0)?.ok()) {
        Some(answer) if answer == asked.to_string() => Ok(()),
        _ => Err(Error::new(ErrorKind::Driver, "the pooled connection answers what was asked before")),
    }
}

fn broken(error: mysql_async::Error) -> Error {
    Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
}
