//! bb8.

use bb8::ManageConnection;
use mysql_async::Conn;
use wrapper_core::{Error, Result};

use super::MysqlManager;

impl ManageConnection for MysqlManager {
    type Connection = Conn;
    type Error = Error;

    async fn connect(&self) -> Result<Conn> {
        self.connector.connect().await
    }

    async fn is_valid(&self, connection: &mut Conn) -> Result<()> {
        self.recycle_connection(connection).await
    }

    fn has_broken(&self, connection: &mut Conn) -> bool {
        // Set from the moment a command is sent until its answer has been read.
        connection.is_disconnected()
    }
}
