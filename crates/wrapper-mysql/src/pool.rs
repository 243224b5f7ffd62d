//! Pools whose every physical connection comes through the chain, so that each gets a fresh token.
//!
//! The driver's own pool keeps the password that it was built with, and is not used.

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;

use mysql_async::{Conn, prelude::Queryable};
use wrapper_core::{Error, ErrorKind, Result};

use crate::Connector;

/// What a server that takes writes answers with two zeros: an Aurora reader says 1 to the first, a replica of RDS to the second.
const READ_ONLY: &str = "SELECT @@innodb_read_only, @@read_only";

/// Says what is done to a connection before it is handed out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recycling {
    /// Asks whether the server is still there; the session's state stays.
    Ping,
    /// Resets the session (temporary tables, variables, open transactions), as the driver's own pool does.
    #[default]
    Reset,
}

/// Manages pooled connections, for `deadpool::managed::Pool` and `bb8::Pool` alike.
#[derive(Clone, Debug)]
pub struct MysqlManager {
    connector: Connector,
    recycling: Recycling,
    expects_writer: bool,
}

impl MysqlManager {
    /// A manager whose connections come from a connector.
    pub fn new(connector: Connector) -> Self {
        Self { connector, recycling: Recycling::default(), expects_writer: false }
    }

    /// Sets what is done to a connection before it is handed out again; a reset by default.
    #[must_use]
    pub fn recycling(mut self, recycling: Recycling) -> Self {
        self.recycling = recycling;
        self
    }

    /// Drops a connection that turns out to lead to a read-only server when it is taken out of the pool, as after a
    /// failover; off by default, because it costs a round trip.
    #[must_use]
    pub fn expect_writer(mut self) -> Self {
        self.expects_writer = true;
        self
    }

    async fn recycle_connection(&self, connection: &mut Conn) -> Result<()> {
        // Whoever took it last gave a command up, whose answer would pass for the one to ours.
        if connection.is_disconnected() {
            return Err(Error::new(ErrorKind::Driver, "a statement was given up on the pooled connection"));
        }
        match self.recycling {
            Recycling::Ping => connection.ping().await.map_err(broken)?,
            Recycling::Reset => {
                // A server too old for a reset would have the driver log in again, with a token that has ended.
                if !connection.reset().await.map_err(broken)? {
                    return Err(Error::new(ErrorKind::Driver, "the server cannot reset a connection"));
                }
            }
        }
        if !self.expects_writer {
            return Ok(());
        }
        match connection.query_first::<(i64, i64), _>(READ_ONLY).await.map_err(broken)? {
            Some((0, 0)) => Ok(()),
            _ => Err(Error::new(ErrorKind::Transient, "the pooled connection leads to a read-only server")),
        }
    }
}

impl Connector {
    /// A manager for a pool, with a fresh token for every physical connection.
    pub fn pool_manager(&self) -> MysqlManager {
        MysqlManager::new(self.clone())
    }
}

fn broken(error: mysql_async::Error) -> Error {
    Error::new(ErrorKind::Driver, "the pooled connection no longer works").with_source(error)
}
