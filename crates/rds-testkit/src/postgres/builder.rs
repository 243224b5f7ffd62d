//! The description of a server to start.

use std::fmt;

use super::{PostgresServer, State, connection};
use crate::error::Result;
use crate::fault::PasswordMethod;
use crate::server::{Description, Engine, Running, builder_methods};

/// Describes a [`PostgresServer`]; see [`PostgresServer::builder`].
#[derive(Default)]
#[must_use = "a server runs once it is started"]
pub struct PostgresServerBuilder {
    pub(crate) description: Description,
    pub(crate) password_method: PasswordMethod,
}

impl PostgresServerBuilder {
    builder_methods!();

    /// Adds a user that is granted `rds_iam`; repeatable, the first is [`PostgresServer::user`].
    /// Default `jane`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.description.users.push(user.into());
        self
    }

    /// Adds a user with a password and without `rds_iam`; repeatable.
    pub fn password_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.description.password_users.push((user.into(), password.into()));
        self
    }

    /// Sets the password method for users without `rds_iam`, known or not; default clear text.
    ///
    /// RDS uses SCRAM-SHA-256 or MD5; the server then never sees the password.
    pub fn password_method(mut self, method: PasswordMethod) -> Self {
        self.password_method = method;
        self
    }

    /// Names a database; repeatable. Once one is named, others have no rule in `pg_hba.conf`.
    /// Default: all have.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.description.databases.push(database.into());
        self
    }

    /// Makes the server a reader, which answers `SHOW transaction_read_only` with `on`; default a
    /// writer.
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
    pub async fn start(mut self) -> Result<PostgresServer> {
        self.description.engine = Engine::Postgres;
        let opened = self.description.open().await?;
        let password_method = self.password_method;
        let state = |shared| State { shared, password_method };
        let (state, running) = Running::start(opened, state, connection::serve);
        Ok(PostgresServer { state, running })
    }
}

impl fmt::Debug for PostgresServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresServerBuilder")
            .field("hosts", &self.description.hosts)
            .field("region", &self.description.region)
            .field("users", &self.description.users)
            .finish_non_exhaustive()
    }
}
