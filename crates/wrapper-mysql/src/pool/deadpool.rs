//! deadpool.

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use mysql_async::Conn;
use wrapper_core::{Error, Result};

use super::MysqlManager;

/// A pool of deadpool: `Pool::builder(connector.pool_manager())`.
pub type Pool = deadpool::managed::Pool<MysqlManager>;

/// What builds a [`Pool`].
pub type PoolBuilder = deadpool::managed::PoolBuilder<MysqlManager>;

/// A connection of a [`Pool`] that is taken out.
pub type Object = deadpool::managed::Object<MysqlManager>;

/// What [`Pool::get`] fails with; [`Error::find`] gets ours back.
pub type PoolError = deadpool::managed::PoolError<Error>;

impl Manager for MysqlManager {
    type Type = Conn;
    type Error = Error;

    async fn create(&self) -> Result<Conn> {
        self.open().await
    }

    async fn recycle(&self, connection: &mut Conn, _: &Metrics) -> RecycleResult<Error> {
        self.recycle_connection(connection).await.map_err(RecycleError::Backend)
    }
}
