//! deadpool.

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use mysql_async::Conn;
use wrapper_core::{Error, Result};

use super::MysqlManager;

impl Manager for MysqlManager {
    type Type = Conn;
    type Error = Error;

    async fn create(&self) -> Result<Conn> {
        self.connector.connect().await
    }

    async fn recycle(&self, connection: &mut Conn, _: &Metrics) -> RecycleResult<Error> {
        self.recycle_connection(connection).await.map_err(RecycleError::Backend)
    }
}
