//! Opening connections with either adapter.

use std::{sync::Arc, time::Duration};

use mysql_async::prelude::Queryable;
use rds_wrapper::{
    Error, IamFactory, IamTokenProvider, Registry, SecretProvider, SecretsFactory, Topology,
    host::Resolver,
    mysql, pg,
    plugin::Established,
    plugins,
    topology::{FailoverFactory, InitialConnectionFactory},
};
use tokio::sync::Barrier;

use crate::{
    Result,
    environment::{Engine, Observation},
    login::Signer,
    pool::Pool,
};

/// A connector of either adapter.
#[derive(Clone, Debug)]
pub(crate) enum Connector {
    Mysql(mysql::Connector),
    Postgres(pg::Connector),
}

impl Connector {
    /// Builds a connector whose plugin `iam` uses these tokens.
    pub(crate) fn build(
        engine: Engine,
        parameters: Vec<(String, String)>,
        tokens: &IamTokenProvider,
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Self> {
        let iam = IamFactory::new(tokens.clone());
        let (postgres, mysql) = (plugins().with(iam.clone()), plugins().with(iam));
        Self::build_by(engine, parameters, (postgres, mysql), resolver)
    }

    /// Builds a connector whose plugin `awsSecretsManager` uses this secret.
    pub(crate) fn with_secret(
        engine: Engine,
        parameters: Vec<(String, String)>,
        secret: SecretProvider,
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Self> {
        let secrets = SecretsFactory::new(secret);
        let registries = (plugins().with(secrets.clone()), plugins().with(secrets));
        Self::build_by(engine, parameters, registries, resolver)
    }

    /// Builds a connector whose plugins `initialConnection` and `failover2` share this topology.
    pub(crate) fn with_topology(
        engine: Engine,
        parameters: Vec<(String, String)>,
        topology: &Topology,
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Self> {
        let initial = InitialConnectionFactory::new(topology.clone());
        let failover = FailoverFactory::new(topology.clone());
        let postgres = plugins().with(initial.clone()).with(failover.clone());
        let registries = (postgres, plugins().with(initial).with(failover));
        Self::build_by(engine, parameters, registries, resolver)
    }

    fn build_by(
        engine: Engine,
        parameters: Vec<(String, String)>,
        (postgres, mysql): (Registry<pg::PgConnection>, Registry<mysql_async::Conn>),
        resolver: impl Resolver,
    ) -> rds_wrapper::Result<Self> {
        Ok(match engine {
            Engine::Mariadb | Engine::Mysql => {
                let builder = mysql::Connector::builder(mysql).map(parameters);
                Self::Mysql(builder.resolver(resolver).build()?)
            }
            Engine::Postgres => {
                let builder = pg::Connector::builder(postgres).map(parameters);
                Self::Postgres(builder.resolver(resolver).build()?)
            }
        })
    }

    /// Opens a connection, runs a statement, and closes it.
    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        match self {
            Self::Mysql(connector) => {
                let mut connection = connector.connect().await?;
                connection.query_drop(sql).await?;
                connection.disconnect().await?;
            }
            Self::Postgres(connector) => {
                let (client, connection) = connector.connect().await?;
                let task = tokio::spawn(connection);
                client.batch_execute(sql).await?;
                drop(client);
                task.await??;
            }
        }
        Ok(())
    }

    /// Opens a connection, closes it, and returns what it led to.
    pub(crate) async fn established(&self) -> rds_wrapper::Result<Established> {
        Ok(match self {
            Self::Mysql(connector) => connector.connect_established().await?.established,
            Self::Postgres(connector) => connector.connect_established().await?.established,
        })
    }

    /// Returns the same connector for the readers of its cluster.
    pub(crate) fn reader(&self) -> rds_wrapper::Result<Self> {
        Ok(match self {
            Self::Mysql(connector) => Self::Mysql(connector.reader()?),
            Self::Postgres(connector) => Self::Postgres(connector.reader()?),
        })
    }

    /// Makes a pool.
    pub(crate) fn pool(&self, size: usize) -> Result<Pool> {
        Ok(match self {
            Self::Mysql(connector) => {
                Pool::Mysql(connector.clone(), connector.deadpool_builder().max_size(size).build()?)
            }
            Self::Postgres(connector) => {
                Pool::Postgres(connector.clone(), connector.deadpool_builder().max_size(size).build()?)
            }
        })
    }

    /// Opens a connection, queries the current user, and closes it.
    pub(crate) async fn log_in(&self) -> rds_wrapper::Result<String> {
        self.log_in_with(&Barrier::new(1)).await
    }

    /// Opens this many connections, and closes none until every login has ended.
    pub(crate) async fn log_in_at_once(&self, count: usize) -> Observation {
        let others = Arc::new(Barrier::new(count));
        // Tasks and not one joined future: the logins contend for the cache from several threads.
        let logins: Vec<_> = (0..count)
            .map(|_| {
                let (connector, others) = (self.clone(), Arc::clone(&others));
                tokio::spawn(async move { connector.log_in_with(&others).await })
            })
            .collect();
        let mut inside = 0;
        let mut details = Vec::new();
        for login in logins {
            match login.await {
                Ok(Ok(_)) => inside += 1,
                Ok(Err(error)) => details.push(chain(&error)),
                Err(error) => details.push(error.to_string()),
            }
        }
        Observation { text: format!("{inside} in"), details }
    }

    /// Opens two connections of a pool, moves the clock past a token's end, and opens two more.
    pub(crate) async fn pool_past(&self, signer: &Signer) -> Observation {
        let later = || signer.clock.advance(Duration::from_secs(16 * 60));
        let outcome = match self {
            Self::Mysql(connector) => pooled_mysql(connector, later).await,
            Self::Postgres(connector) => pooled_postgres(connector, later).await,
        };
        match outcome {
            Ok(count) => Observation { text: format!("{count} pooled"), details: Vec::new() },
            Err(error) => Observation { text: "refused".to_owned(), details: vec![error.to_string()] },
        }
    }

    /// Opens a connection, queries the current user, waits until every other login has ended, and
    /// closes it.
    async fn log_in_with(&self, others: &Barrier) -> rds_wrapper::Result<String> {
        match self {
            Self::Mysql(connector) => {
                let opened = connector.connect().await;
                others.wait().await;
                // Only after the wait: the others would wait for a failed login forever.
                let mut connection = opened?;
                let user: mysql_async::Result<Option<String>> =
                    connection.query_first("SELECT CURRENT_USER()").await;
                let _ = connection.disconnect().await;
                // The name of an account at MySQL ends in its host.
                let user = user.map(|user| user.unwrap_or_default().trim_end_matches("@%").to_owned());
                Ok(user.unwrap_or_else(|error| error.to_string()))
            }
            Self::Postgres(connector) => {
                let opened = connector.connect().await;
                others.wait().await;
                // Only after the wait, as for MySQL.
                let (client, connection) = opened?;
                let task = tokio::spawn(connection);
                let row = client.query_one("SELECT current_user::text", &[]).await;
                drop(client);
                let _ = task.await;
                Ok(row.map_or_else(|error| error.to_string(), |row| row.get(0)))
            }
        }
    }
}

async fn pooled_mysql(connector: &mysql::Connector, later: impl Fn()) -> Result<usize> {
    let pool =
        deadpool::managed::Pool::<mysql::MysqlManager>::builder(connector.deadpool_manager()).build()?;
    let mut held = vec![pool.get().await?, pool.get().await?];
    later();
    held.extend([pool.get().await?, pool.get().await?]);
    // The server checks a token only at the login, so the first two connections still work.
    for connection in &mut held {
        connection.ping().await?;
    }
    Ok(held.len())
}

async fn pooled_postgres(connector: &pg::Connector, later: impl Fn()) -> Result<usize> {
    let pool = deadpool_postgres::Pool::builder(connector.deadpool_manager()).build()?;
    let mut held = vec![pool.get().await?, pool.get().await?];
    later();
    held.extend([pool.get().await?, pool.get().await?]);
    // As for MySQL: a token counts only at the login.
    for client in &held {
        client.simple_query("SELECT 1").await?;
    }
    Ok(held.len())
}

/// Describes the outcome of a login.
pub(crate) fn seen(outcome: rds_wrapper::Result<String>) -> Observation {
    match outcome {
        Ok(user) => Observation { text: format!("in as {user}"), details: Vec::new() },
        Err(error) => Observation { text: format!("{:?}", error.kind()), details: vec![chain(&error)] },
    }
}

/// Describes a connector that could not be built.
pub(crate) fn not_built(error: &Error) -> Observation {
    Observation { text: format!("{:?} at build", error.kind()), details: vec![chain(error)] }
}

/// Returns the text of an error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
