//! The pools, and what an application does with their connections.

use std::{fmt, ops::DerefMut, time::Duration};

use mysql_async::{Conn, prelude::Queryable};
use rds_testkit::{Cluster, Deployment};
use rds_wrapper::{
    Error, FailoverPlugin, IamFactory, Registry, Topology, mysql as my, pg, plugins, resolver_fn,
};
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

/// The statement that an application repeats.
pub(crate) const WRITE: &str = "INSERT INTO beats VALUES (1)";

/// What an application sees of a statement that is not answered in time.
pub(crate) const SILENT: &str = "no answer within 1 s";

/// How long an application gives one statement, as the guide recommends.
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
}

impl Stack {
    pub(crate) fn deployment(self) -> Deployment {
        match self {
            Self::Bb8Mysql | Self::DeadpoolMysql => Deployment::AuroraMysql,
            Self::Bb8Postgres | Self::DeadpoolPostgres => Deployment::AuroraPostgres,
        }
    }

    pub(crate) async fn pool(self, cluster: &Cluster, size: usize) -> Pool {
        let url = cluster.url().replace("plugins=iam", "plugins=failover2,iam");
        let kind = match self.deployment() {
            Deployment::AuroraMysql => {
                let dns = cluster.dns();
                let builder = my::Connector::builder(registry(cluster)).connection_string(url);
                Connector::Mysql(
                    builder.resolver(resolver_fn(move |host| dns.resolve(host))).build().expect("builds"),
                )
            }
            _ => {
                let dns = cluster.dns();
                let builder = pg::Connector::builder(registry(cluster)).connection_string(url);
                let builder = builder.resolver(resolver_fn(move |host| dns.resolve(host)));
                Connector::Postgres(builder.build().expect("builds"))
            }
        };
        let pool = match &kind {
            Connector::Mysql(connector) if self == Self::Bb8Mysql => {
                let builder = my::bb8::Pool::builder().max_size(size as u32);
                Kind::Bb8Mysql(builder.build_unchecked(connector.bb8_manager()))
            }
            Connector::Mysql(connector) => {
                let builder = connector.deadpool_builder();
                Kind::DeadpoolMysql(builder.max_size(size).build().expect("builds"))
            }
            Connector::Postgres(connector) if self == Self::Bb8Postgres => {
                let builder = pg::bb8::Pool::builder().max_size(size as u32);
                Kind::Bb8Postgres(builder.build_unchecked(connector.bb8_manager()))
            }
            Connector::Postgres(connector) => {
                Kind::DeadpoolPostgres(connector.deadpool_builder().max_size(size).build().expect("builds"))
            }
        };
        Pool { connector: kind, pool }
    }
}

fn registry<C: Send + 'static>(cluster: &Cluster) -> Registry<C> {
    plugins().with(IamFactory::new(cluster.token_provider().expect("the tokens can be built")))
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bb8Mysql => "bb8 MySQL",
            Self::Bb8Postgres => "bb8 PostgreSQL",
            Self::DeadpoolMysql => "deadpool MySQL",
            Self::DeadpoolPostgres => "deadpool PostgreSQL",
        })
    }
}

/// A pool and its connector; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connector: Connector,
    pool: Kind,
}

#[derive(Clone, Debug)]
enum Connector {
    Mysql(my::Connector),
    Postgres(pg::Connector),
}

#[derive(Clone, Debug)]
enum Kind {
    Bb8Mysql(my::bb8::Pool),
    Bb8Postgres(pg::bb8::Pool),
    DeadpoolMysql(my::deadpool::Pool),
    DeadpoolPostgres(pg::deadpool::Pool),
}

/// A connection that is taken out.
pub(crate) struct Client {
    connector: Connector,
    taken: Taken,
}

enum Taken {
    Bb8Postgres(pg::bb8::PooledConnection<'static>),
    DeadpoolPostgres(pg::deadpool::Client),
    Mysql(Box<dyn DerefMut<Target = Conn> + Send>),
}

/// What an application sees of a failure.
pub(crate) type Seen = String;

impl Pool {
    pub(crate) fn topology(&self) -> Topology {
        let plugin = match &self.connector {
            Connector::Mysql(connector) => connector.plugin::<FailoverPlugin>(),
            Connector::Postgres(connector) => connector.plugin::<FailoverPlugin>(),
        };
        plugin.expect("is in the chain").topology().clone()
    }

    pub(crate) async fn get(&self) -> Result<Client, Seen> {
        let taken = match &self.pool {
            Kind::Bb8Mysql(pool) => {
                Taken::Mysql(Box::new(pool.get_owned().await.map_err(|error| of_pool(&error))?))
            }
            Kind::Bb8Postgres(pool) => {
                Taken::Bb8Postgres(pool.get_owned().await.map_err(|error| of_pool(&error))?)
            }
            Kind::DeadpoolMysql(pool) => {
                Taken::Mysql(Box::new(pool.get().await.map_err(|error| of_pool(&error))?))
            }
            Kind::DeadpoolPostgres(pool) => {
                Taken::DeadpoolPostgres(pool.get().await.map_err(|error| of_pool(&error))?)
            }
        };
        Ok(Client { connector: self.connector.clone(), taken })
    }
}

fn of_pool(error: &(dyn std::error::Error + 'static)) -> Seen {
    match Error::find(error) {
        Some(error) => format!("pool: {:?}", error.kind()),
        None => format!("pool: {error}"),
    }
}

impl Client {
    /// Runs a statement and tells the plugins of what went wrong with it.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<(), Seen> {
        match timeout(STATEMENT, self.query(sql)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(SILENT.to_owned()),
        }
    }

    /// Asks which instance this is; `None` if the connection has ended.
    pub(crate) async fn instance(&mut self) -> Option<String> {
        let sql = match self.taken {
            Taken::Mysql(_) => "SELECT @@aurora_server_id",
            _ => "SELECT pg_catalog.aurora_db_instance_identifier()",
        };
        timeout(STATEMENT, self.query(sql)).await.ok()?.ok()?
    }

    async fn query(&mut self, sql: &str) -> Result<Option<String>, Seen> {
        let client: &tokio_postgres::Client = match &mut self.taken {
            Taken::Mysql(connection) => {
                return connection.query_first(sql).await.map_err(|error| match &self.connector {
                    Connector::Mysql(connector) => of_mysql(connector, &error),
                    Connector::Postgres(_) => unreachable!("a connection has its connector's engine"),
                });
            }
            Taken::Bb8Postgres(client) => client,
            Taken::DeadpoolPostgres(client) => client,
        };
        let messages = client.simple_query(sql).await.map_err(|error| match &self.connector {
            Connector::Postgres(connector) => of_postgres(connector, &error),
            Connector::Mysql(_) => unreachable!("a connection has its connector's engine"),
        })?;
        Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }
}

fn of_postgres(connector: &pg::Connector, error: &tokio_postgres::Error) -> Seen {
    connector.report(error);
    match error.as_db_error() {
        Some(answer) => answer.code().code().to_owned(),
        None => "connection closed".to_owned(),
    }
}

fn of_mysql(connector: &my::Connector, error: &mysql_async::Error) -> Seen {
    connector.report(error);
    match error {
        mysql_async::Error::Server(answer) => answer.code.to_string(),
        _ => "connection closed".to_owned(),
    }
}
