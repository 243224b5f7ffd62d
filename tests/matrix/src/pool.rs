//! The pools, and an application's use of their connections.

use std::{fmt, ops::DerefMut, time::Duration};

use mysql_async::{Conn, prelude::Queryable};
use rds_testkit::{Cluster, Deployment, Dns};
use rds_wrapper::{
    Error, IamFactory, IamTokenProvider, Registry, SecretsFactory, Topology, host::resolver_fn, mysql as my,
    pg, plugins, topology::FailoverPlugin,
};
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use crate::sqlx_pool::{SqlxClient, SqlxPool};

/// The statement that an application repeats.
pub const WRITE: &str = "INSERT INTO beats VALUES (1)";

/// The failure of a statement that is not answered in time.
pub(crate) const SILENT: &str = "no answer within 1 s";

/// The application's timeout of a statement, as the guide recommends.
const STATEMENT: Duration = Duration::from_secs(1);

/// A pool of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// bb8 with MySQL.
    Bb8Mysql,
    /// bb8 with PostgreSQL.
    Bb8Postgres,
    /// deadpool with MySQL.
    DeadpoolMysql,
    /// deadpool with PostgreSQL.
    DeadpoolPostgres,
    /// sqlx with MySQL.
    SqlxMysql,
    /// sqlx with PostgreSQL.
    SqlxPostgres,
}

impl Stack {
    /// Returns the deployment that it connects to.
    pub fn deployment(self) -> Deployment {
        match self {
            Self::Bb8Mysql | Self::DeadpoolMysql | Self::SqlxMysql => Deployment::AuroraMysql,
            Self::Bb8Postgres | Self::DeadpoolPostgres | Self::SqlxPostgres => Deployment::AuroraPostgres,
        }
    }

    pub(crate) fn is_sqlx(self) -> bool {
        matches!(self, Self::SqlxMysql | Self::SqlxPostgres)
    }

    pub(crate) async fn pool(self, cluster: &Cluster, size: usize) -> Pool {
        if self.is_sqlx() {
            let (pool, topology) = SqlxPool::build(cluster, size).await;
            return Pool { connector: Connector::Sqlx(topology), pool: Kind::Sqlx(pool) };
        }
        self.pool_at(Setup {
            url: cluster.url().replace("plugins=iam", "plugins=failover2,iam"),
            parameters: Vec::new(),
            dns: cluster.dns(),
            tokens: cluster.token_provider().expect("the tokens can be built"),
            size,
        })
    }

    /// Creates a pool from a setup.
    ///
    /// # Panics
    ///
    /// Panics for sqlx, which has no resolver of its own to set.
    pub fn pool_at(self, setup: Setup) -> Pool {
        let Setup { url, parameters, dns, tokens, size } = setup;
        let resolver = resolver_fn(move |host| dns.resolve(host));
        match self {
            Self::Bb8Mysql | Self::DeadpoolMysql => {
                let builder = my::Connector::builder(registry(&tokens)).connection_string(url);
                let builder = parameters
                    .into_iter()
                    .fold(builder, |builder, (name, value)| builder.parameter(name, value));
                let connector = builder.resolver(resolver).build().expect("builds");
                let pool = if self == Self::Bb8Mysql {
                    // Without bb8's idle reaper: it outlives its pool by half a minute.
                    let builder = my::bb8::Pool::builder().max_size(size as u32);
                    let builder = builder.idle_timeout(None).max_lifetime(None);
                    Kind::Bb8Mysql(builder.build_unchecked(connector.bb8_manager()))
                } else {
                    let builder = connector.deadpool_builder().max_size(size);
                    Kind::DeadpoolMysql(builder.build().expect("builds"))
                };
                Pool { connector: Connector::Mysql(connector), pool }
            }
            Self::Bb8Postgres | Self::DeadpoolPostgres => {
                let builder = pg::Connector::builder(registry(&tokens)).connection_string(url);
                let builder = parameters
                    .into_iter()
                    .fold(builder, |builder, (name, value)| builder.parameter(name, value));
                let connector = builder.resolver(resolver).build().expect("builds");
                let pool = if self == Self::Bb8Postgres {
                    // Without bb8's idle reaper: it outlives its pool by half a minute.
                    let builder = pg::bb8::Pool::builder().max_size(size as u32);
                    let builder = builder.idle_timeout(None).max_lifetime(None);
                    Kind::Bb8Postgres(builder.build_unchecked(connector.bb8_manager()))
                } else {
                    let builder = connector.deadpool_builder().max_size(size);
                    Kind::DeadpoolPostgres(builder.build().expect("builds"))
                };
                Pool { connector: Connector::Postgres(connector), pool }
            }
            Self::SqlxMysql | Self::SqlxPostgres => panic!("sqlx resolves names by itself"),
        }
    }
}

/// The target and the credentials of a pool.
#[derive(Debug)]
pub struct Setup {
    /// The connection string.
    pub url: String,
    /// Parameters that only code may give.
    pub parameters: Vec<(&'static str, String)>,
    /// The resolver of the names.
    pub dns: Dns,
    /// The tokens of `iam`, and the credentials of `awsSecretsManager`.
    pub tokens: IamTokenProvider,
    /// The most connections.
    pub size: usize,
}

fn registry<C: Send + 'static>(tokens: &IamTokenProvider) -> Registry<C> {
    let secrets = SecretsFactory::with_credentials_of(tokens.clone());
    plugins().with(IamFactory::new(tokens.clone())).with(secrets)
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bb8Mysql => "bb8 MySQL",
            Self::Bb8Postgres => "bb8 PostgreSQL",
            Self::DeadpoolMysql => "deadpool MySQL",
            Self::DeadpoolPostgres => "deadpool PostgreSQL",
            Self::SqlxMysql => "sqlx MySQL",
            Self::SqlxPostgres => "sqlx PostgreSQL",
        })
    }
}

/// A pool and its connector; clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    connector: Connector,
    pool: Kind,
}

#[derive(Clone, Debug)]
enum Connector {
    Mysql(my::Connector),
    Postgres(pg::Connector),
    Sqlx(Topology),
}

#[derive(Clone, Debug)]
enum Kind {
    Bb8Mysql(my::bb8::Pool),
    Bb8Postgres(pg::bb8::Pool),
    DeadpoolMysql(my::deadpool::Pool),
    DeadpoolPostgres(pg::deadpool::Pool),
    Sqlx(SqlxPool),
}

/// A connection checked out of a pool.
pub struct Client {
    connector: Connector,
    connection: Pooled,
}

enum Pooled {
    Bb8Postgres(pg::bb8::PooledConnection<'static>),
    DeadpoolPostgres(pg::deadpool::Client),
    Mysql(Box<dyn DerefMut<Target = Conn> + Send>),
    Sqlx(SqlxClient),
}

/// A failure as the application sees it.
pub type Failure = String;

impl Pool {
    pub(crate) fn topology(&self) -> Topology {
        let plugin = match &self.connector {
            Connector::Mysql(connector) => connector.plugin::<FailoverPlugin>(),
            Connector::Postgres(connector) => connector.plugin::<FailoverPlugin>(),
            Connector::Sqlx(topology) => return topology.clone(),
        };
        plugin.expect("is in the chain").topology().clone()
    }

    /// Checks a connection out.
    ///
    /// # Errors
    ///
    /// The failure as the application sees it.
    pub async fn get(&self) -> Result<Client, Failure> {
        let connection = match &self.pool {
            Kind::Bb8Mysql(pool) => {
                Pooled::Mysql(Box::new(pool.get_owned().await.map_err(|error| of_pool(&error))?))
            }
            Kind::Bb8Postgres(pool) => {
                Pooled::Bb8Postgres(pool.get_owned().await.map_err(|error| of_pool(&error))?)
            }
            Kind::DeadpoolMysql(pool) => {
                Pooled::Mysql(Box::new(pool.get().await.map_err(|error| of_pool(&error))?))
            }
            Kind::DeadpoolPostgres(pool) => {
                Pooled::DeadpoolPostgres(pool.get().await.map_err(|error| of_pool(&error))?)
            }
            Kind::Sqlx(pool) => Pooled::Sqlx(pool.get().await?),
        };
        Ok(Client { connector: self.connector.clone(), connection })
    }
}

fn of_pool(error: &(dyn std::error::Error + 'static)) -> Failure {
    match Error::find(error) {
        Some(error) => format!("pool: {:?}", error.kind()),
        None => format!("pool: {error}"),
    }
}

impl Client {
    /// Runs a statement, and reports its error to the plugins.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        match timeout(STATEMENT, self.ask(sql)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(SILENT.to_owned()),
        }
    }

    /// Queries the id of the instance; `None` if the connection has ended.
    pub(crate) async fn instance(&mut self) -> Option<String> {
        timeout(STATEMENT, self.ask_instance()).await.ok()?.ok()?
    }

    /// Queries the id of the instance, without a timeout.
    ///
    /// # Errors
    ///
    /// The failure as the application sees it.
    pub async fn ask_instance(&mut self) -> Result<Option<String>, Failure> {
        self.ask(match self.connection {
            Pooled::Mysql(_) | Pooled::Sqlx(SqlxClient::Mysql(..)) => "SELECT @@aurora_server_id",
            _ => "SELECT pg_catalog.aurora_db_instance_identifier()",
        })
        .await
    }

    /// Runs a statement without a timeout, reports its error to the plugins, and returns the first
    /// value of the first row.
    ///
    /// # Errors
    ///
    /// The failure as the application sees it.
    pub async fn ask(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let client: &tokio_postgres::Client = match &mut self.connection {
            Pooled::Mysql(connection) => {
                return connection.query_first(sql).await.map_err(|error| match &self.connector {
                    Connector::Mysql(connector) => of_mysql(connector, &error),
                    _ => unreachable!("a connection has its connector's engine"),
                });
            }
            Pooled::Sqlx(client) => return client.ask(sql).await,
            Pooled::Bb8Postgres(client) => client,
            Pooled::DeadpoolPostgres(client) => client,
        };
        let messages = client.simple_query(sql).await.map_err(|error| match &self.connector {
            Connector::Postgres(connector) => of_postgres(connector, &error),
            _ => unreachable!("a connection has its connector's engine"),
        })?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }
}

fn of_postgres(connector: &pg::Connector, error: &tokio_postgres::Error) -> Failure {
    connector.report(error);
    match error.as_db_error() {
        Some(answer) => answer.code().code().to_owned(),
        None => "connection closed".to_owned(),
    }
}

fn of_mysql(connector: &my::Connector, error: &mysql_async::Error) -> Failure {
    connector.report(error);
    match error {
        mysql_async::Error::Server(answer) => answer.code.to_string(),
        _ => "connection closed".to_owned(),
    }
}
