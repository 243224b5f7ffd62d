//! The MySQL side of the fixture.

use mysql_async::prelude::Queryable;
use rds_testkit::{MysqlServer, MysqlServerBuilder};
use rds_wrapper::{
    Result,
    mysql::{Connector, ConnectorBuilder},
};

use crate::{FixtureOf, HOST, USER, clock, local};

/// A MySQL server with what belongs to it.
pub type Fixture = FixtureOf<MysqlServer>;

impl Fixture {
    /// Starts a server with [`HOST`] and [`USER`].
    pub async fn start() -> Self {
        Self::start_with(|server| server).await
    }

    /// Starts a server that is set up further.
    pub async fn start_with(set_up: impl FnOnce(MysqlServerBuilder) -> MysqlServerBuilder) -> Self {
        let clock = clock();
        let time = clock.clone();
        let builder =
            MysqlServer::builder().host(HOST).region("us-east-2").user(USER).clock(move || time.now());
        let server = set_up(builder).start().await.expect("the server starts");
        let key = server.access_key().clone();
        Self::new(server, &key, clock)
    }

    /// A URL for the server under its RDS-like name.
    pub fn url(&self) -> String {
        format!("mysql://{USER}@{HOST}:{}/app?plugins=iam", self.server.port())
    }

    /// A builder that resolves every name to this machine and trusts the server's authority.
    pub fn builder(&self, url: impl Into<String>) -> ConnectorBuilder {
        Connector::builder(self.registry())
            .connection_string(url)
            .resolver(local())
            .parameter("sslrootcert", self.server.ca_file().to_string_lossy().into_owned())
    }

    /// A connector for [`url`](Self::url).
    pub fn connector(&self) -> Connector {
        self.builder(self.url()).build().expect("the connector can be built")
    }
}

/// Opens a connection, asks who it is logged in as, in text and by a prepared statement, and closes
/// it.
///
/// # Errors
///
/// The error of the connect.
pub async fn log_in(connector: &Connector) -> Result<String> {
    let mut connection = connector.connect().await?;
    let user: Option<String> =
        connection.query_first("SELECT CURRENT_USER()").await.expect("the server answers");
    let one: Option<(i64, String)> =
        connection.exec_first("SELECT 1, CURRENT_USER()", ()).await.expect("the server answers");
    assert_eq!(one, user.clone().map(|user| (1, user)));
    connection.disconnect().await.expect("the connection ends");
    let user = user.expect("one row");
    Ok(user.split('@').next().unwrap_or_default().to_owned())
}
