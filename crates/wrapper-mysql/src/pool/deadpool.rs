//! deadpool.

use deadpool::{
    Runtime,
    managed::{Manager, Metrics, RecycleError, RecycleResult},
};
use mysql_async::Conn;
use wrapper_core::{Error, Result};

use super::MysqlManager;
use crate::Connector;

/// A pool of deadpool: `connector.deadpool_builder()`.
pub type Pool = deadpool::managed::Pool<MysqlManager>;

/// The builder of a [`Pool`].
pub type PoolBuilder = deadpool::managed::PoolBuilder<MysqlManager>;

/// A connection checked out of a [`Pool`].
pub type Object = deadpool::managed::Object<MysqlManager>;

/// The error of [`Pool::get`]; [`Error::find`] returns ours from it.
pub type PoolError = deadpool::managed::PoolError<Error>;

impl Connector {
    /// Returns a builder of a [`Pool`] with a fresh token for every physical connection, and a
    /// runtime, which its timeouts need.
    ///
    /// An error of a connect arrives as the cause of deadpool's; [`Error::find`] gets it back.
    pub fn deadpool_builder(&self) -> PoolBuilder {
        Pool::builder(self.deadpool_manager()).runtime(Runtime::Tokio1)
    }

    /// Returns a manager for your own builder, for which `runtime` should be set as
    /// [`deadpool_builder`](Self::deadpool_builder) does.
    pub fn deadpool_manager(&self) -> MysqlManager {
        MysqlManager::new(self.clone())
    }
}

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
