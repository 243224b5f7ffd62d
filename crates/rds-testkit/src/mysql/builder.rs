//! The description of a server to start.

use std::fmt;
use std::sync::Mutex;

use super::{AuthPlugin, MysqlServer, State, connection};
use crate::error::Result;
use crate::server::{Description, Engine, Running, builder_methods};

/// Describes a [`MysqlServer`]; see [`MysqlServer::builder`].
#[derive(Default)]
#[must_use = "a server runs once it is started"]
pub struct MysqlServerBuilder {
    pub(crate) description: Description,
    pub(crate) plugin: AuthPlugin,
    pub(crate) switch_data: Vec<u8>,
}

impl MysqlServerBuilder {
    builder_methods!();

    /// Adds a user that is identified with `AWSAuthenticationPlugin`; repeatable, the first is
    /// [`MysqlServer::user`].
    ///
    /// Default `jane`. As with `REQUIRE SSL`, such a user is refused without TLS.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.description.users.push(user.into());
        self
    }

    /// Adds a user with a password, checked by the [`plugin`](Self::plugin); repeatable.
    pub fn password_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.description.password_users.push((user.into(), password.into()));
        self
    }

    /// Sets the authentication plugin in the greeting; default `caching_sha2_password`.
    pub fn plugin(mut self, plugin: AuthPlugin) -> Self {
        self.plugin = plugin;
        self
    }

    /// Sets the data sent with the request for a token; default none, as on Aurora.
    pub fn switch_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.switch_data = data.into();
        self
    }

    /// Names a database; repeatable. Once one is named, others are unknown. Default: all are known.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.description.databases.push(database.into());
        self
    }

    /// Makes the server a reader, which answers `SELECT @@read_only` with 1; default a writer.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.description.read_only = read_only;
        self
    }

    /// Starts the server on 127.0.0.1, in the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails for an empty host, user or region, for a host that fits into no certificate, and if
    /// the system gives no port, no file in the folder for temporary files, or no random bytes.
    pub async fn start(mut self) -> Result<MysqlServer> {
        self.description.engine = Engine::Mysql;
        let opened = self.description.open().await?;
        let state = |shared| State {
            shared,
            plugin: self.plugin,
            switch_data: self.switch_data,
            traffic: Mutex::default(),
            behaviors: Mutex::default(),
        };
        let (state, running) = Running::start(opened, state, connection::serve);
        Ok(MysqlServer { state, running })
    }
}

impl fmt::Debug for MysqlServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlServerBuilder")
            .field("hosts", &self.description.hosts)
            .field("region", &self.description.region)
            .field("users", &self.description.users)
            .finish_non_exhaustive()
    }
}
