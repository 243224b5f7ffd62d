//! bb8.

use bb8::ManageConnection;
use mysql_async::Conn;
use wrapper_core::{Error, Result};

use super::MysqlManager;
use crate::Connector;

/// A pool of bb8: `Pool::builder().build(connector.bb8_manager())`.
pub type Pool = bb8::Pool<MysqlManager>;

/// A connection checked out of a [`Pool`].
pub type PooledConnection<'a> = bb8::PooledConnection<'a, MysqlManager>;

impl Connector {
    /// Returns a manager for [`bb8::Pool`], with a fresh token for every physical connection.
    pub fn bb8_manager(&self) -> MysqlManager {
        MysqlManager::new(self.clone())
    }
}

impl ManageConnection for MysqlManager {
    type Connection = Conn;
    type Error = Error;

    async fn connect(&self) -> Result<Conn> {
        self.open().await
    }

    async fn is_valid(&self, connection: &mut Conn) -> Result<()> {
        self.recycle_connection(connection).await
    }

    fn has_broken(&self, connection: &mut Conn) -> bool {
        // Set from the moment a command is sent until its answer has been read.
        connection.is_disconnected()
    }
}
