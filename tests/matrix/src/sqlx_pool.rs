//! The pools of sqlx. It resolves names by itself and verifies the name that it dials, so the nodes
//! are dialled by their addresses, and a secret's user logs in: tokens are signed for names.

use std::{sync::Arc, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use rds_testkit::{Cluster, Deployment, SecretsServer};
use rds_wrapper::{IamTokenProvider, SecretProvider, Topology};
use sqlx::{AssertSqlSafe, MySql, Postgres, Row, pool::PoolConnection, pool::PoolOptions};
use wrapper_sqlx::{Engine, FreshPool};

use crate::pool::Failure;

/// The user of the secret.
pub(crate) const USER: &str = "app";
/// The password of the secret.
pub(crate) const PASSWORD: &str = "matrix-pass/word";
const ID: &str = "prod/matrix";

/// How long an application waits for a connection: sqlx has no other limit for a connect to a
/// frozen server.
const ACQUIRE: Duration = Duration::from_secs(2);

/// A pool of sqlx with the service of its secret; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SqlxPool {
    kind: Kind,
    _service: Arc<SecretsServer>,
}

#[derive(Clone, Debug)]
enum Kind {
    Mysql(FreshPool<MySql>),
    Postgres(FreshPool<Postgres>),
}

/// A connection checked out of a pool of sqlx.
pub(crate) enum SqlxClient {
    Mysql(FreshPool<MySql>, PoolConnection<MySql>),
    Postgres(FreshPool<Postgres>, PoolConnection<Postgres>),
}

impl SqlxPool {
    pub(crate) async fn build(cluster: &Cluster, size: usize) -> (Self, Topology) {
        let service = SecretsServer::start().await.expect("starts");
        service.put(ID, format!(r#"{{"username":"{USER}","password":"{PASSWORD}"}}"#));
        let addresses: Vec<_> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
        let readers = addresses[1..].iter().map(String::as_str);
        let topology = Topology::fixed(&addresses[0], readers).expect("are addresses");
        let kind = match cluster.deployment() {
            Deployment::AuroraMysql => {
                Kind::Mysql(fresh("mysql", cluster, &service, topology.clone(), size).await)
            }
            _ => Kind::Postgres(fresh("postgres", cluster, &service, topology.clone(), size).await),
        };
        (Self { kind, _service: Arc::new(service) }, topology)
    }

    pub(crate) async fn get(&self) -> Result<SqlxClient, Failure> {
        Ok(match &self.kind {
            Kind::Mysql(pool) => SqlxClient::Mysql(pool.clone(), acquire(pool).await?),
            Kind::Postgres(pool) => SqlxClient::Postgres(pool.clone(), acquire(pool).await?),
        })
    }
}

async fn fresh<D: Engine>(
    scheme: &str,
    cluster: &Cluster,
    service: &SecretsServer,
    topology: Topology,
    size: usize,
) -> FreshPool<D> {
    let key = service.access_key();
    let credentials = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "matrix");
    let tokens = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
        .expect("builds");
    let secret = SecretProvider::builder(ID)
        .region("us-east-2")
        .endpoint(service.url())
        .credentials(tokens.credentials())
        .build()
        .expect("builds");
    let writer = cluster.nodes()[0].addr();
    FreshPool::builder()
        .connection_string(format!("{scheme}://{writer}/app?plugins=failover2,secretsManager"))
        .secret(secret)
        .topology(topology)
        .root_certificates(cluster.ca().pem())
        .pool_options(PoolOptions::new().max_connections(size as u32).acquire_timeout(ACQUIRE))
        .build()
        .await
        .expect("builds")
}

async fn acquire<D: Engine>(pool: &FreshPool<D>) -> Result<PoolConnection<D>, Failure> {
    let acquired = pool.pool().acquire().await;
    acquired.map_err(|error| format!("pool: {:?}", pool.explain(error).kind()))
}

impl SqlxClient {
    /// Runs a statement as one text, reports its error, and returns the first value of the first
    /// row.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Mysql(pool, connection) => {
                let row = statement.fetch_optional(&mut **connection).await;
                let row = row.map_err(|error| failure(pool, &error))?;
                Ok(row.and_then(|row| row.try_get_unchecked(0).ok()))
            }
            Self::Postgres(pool, connection) => {
                let row = statement.fetch_optional(&mut **connection).await;
                let row = row.map_err(|error| failure(pool, &error))?;
                Ok(row.and_then(|row| row.try_get_unchecked(0).ok()))
            }
        }
    }
}

fn failure<D: Engine>(pool: &FreshPool<D>, error: &sqlx::Error) -> Failure {
    pool.report(error);
    match error.as_database_error() {
        Some(answer) => answer.code().unwrap_or_default().into_owned(),
        None => "connection closed".to_owned(),
    }
}
