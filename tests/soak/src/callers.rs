//! The applications: callers of pools that check every answer, and sometimes give up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use e2e::{HOST, USER};
use matrix::{Failure, Setup, Stack, WRITE, Writers};
use rds_wrapper::IamTokenProvider;
use sqlx::{AssertSqlSafe, pool::PoolOptions};
use tokio::time::{Instant, sleep, timeout};
use wrapper_sqlx::{Engine, FreshPool, MySqlFreshPool, PgFreshPool};

use crate::{
    environment::{Environment, secret_id},
    random::Random,
    verdict::{Impact, Target, Verdict},
};

/// The maximum connections of a pool, and the number of its callers.
const SIZE: usize = 4;
const CALLERS: usize = 6;
/// The time limit of any operation.
const STUCK: Duration = Duration::from_secs(40);

/// The next number to select: no two statements have the same answer.
static NUMBER: AtomicUsize = AtomicUsize::new(1_000);

/// The counters for the summary.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) answers: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) failures: Mutex<BTreeMap<Failure, u64>>,
}

/// A pool with its expectations and their judge.
pub(crate) struct Application {
    name: &'static str,
    target: Target,
    pool: Pool,
    /// Set if each connection must lead to the writer.
    writers: Option<Arc<Writers>>,
    verdict: Arc<Verdict>,
    tally: Arc<Tally>,
    ends: AtomicBool,
}

enum Pool {
    Mysql(MySqlFreshPool, IamTokenProvider),
    Postgres(PgFreshPool, IamTokenProvider),
    Wrapper(matrix::Pool),
}

impl Application {
    /// Builds all kinds of pools.
    pub(crate) async fn all(environment: &Environment, tally: &Arc<Tally>) -> Vec<Arc<Self>> {
        let iam = environment.tokens();
        let key = environment.service.access_key();
        let secrets = IamTokenProvider::builder()
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                e2e::CountingSource::new(key),
            ))
            .build()
            .expect("builds");
        let application = |name, target, pool, writers| {
            let (verdict, tally) = (Arc::clone(&environment.verdict), Arc::clone(tally));
            Arc::new(Self { name, target, pool, writers, verdict, tally, ends: AtomicBool::new(false) })
        };
        let wrapper = |name, target, stack: Stack, by_secret: bool| {
            let watched = environment.cluster_of(target).expect("is a cluster");
            let url = watched.cluster.url();
            let mut setup = Setup {
                url: url.replace("plugins=iam", "plugins=failover2,iam"),
                parameters: Vec::new(),
                dns: watched.cluster.dns(),
                tokens: iam.clone(),
                size: SIZE,
            };
            if by_secret {
                // With time for the rotation that may follow a refusal.
                let plugins = format!(
                    "plugins=failover2,awsSecretsManager&secretId={}&secretRegion=us-east-2\
                     &secretRotationRetryTimeoutMs=10000",
                    secret_id(watched.cluster.deployment())
                );
                setup.url = url.replace("plugins=iam", &plugins).replace(&format!("{USER}@"), "");
                setup.parameters.push(("secretEndpoint", environment.service.url()));
                setup.tokens = secrets.clone();
            }
            let pool = Pool::Wrapper(stack.pool_at(setup));
            application(name, target, pool, Some(Arc::clone(&watched.writers)))
        };
        let single = environment.tokens();
        let (server, tokens) = (&environment.postgres_server, single.clone());
        let postgres = fresh(&tokens, "postgres", server.port(), server.ca_pem()).await;
        let postgres = Pool::Postgres(postgres, tokens);
        let server = &environment.mysql_server;
        let mysql = fresh(&single, "mysql", server.port(), server.ca_pem()).await;
        let mysql = Pool::Mysql(mysql, single);
        let (cluster, mysql_cluster) = (Target::PostgresCluster, Target::MysqlCluster);
        vec![
            wrapper("deadpool postgres, iam", cluster, Stack::DeadpoolPostgres, false),
            wrapper("bb8 postgres, iam", cluster, Stack::Bb8Postgres, false),
            wrapper("deadpool postgres, secret", cluster, Stack::DeadpoolPostgres, true),
            wrapper("deadpool mysql, iam", mysql_cluster, Stack::DeadpoolMysql, false),
            wrapper("bb8 mysql, iam", mysql_cluster, Stack::Bb8Mysql, false),
            wrapper("bb8 mysql, secret", mysql_cluster, Stack::Bb8Mysql, true),
            application("sqlx postgres, iam", Target::PostgresServer, postgres, None),
            application("sqlx mysql, iam", Target::MysqlServer, mysql, None),
        ]
    }

    /// Returns the maximum number of sockets of this many applications, including abandoned
    /// connects and monitors.
    pub(crate) fn most_sockets(applications: usize) -> usize {
        applications * (SIZE + CALLERS + 4)
    }

    /// Makes a pool that does not check its token at each login check it now, with reloaded
    /// credentials if `reload` is set.
    pub(crate) async fn refresh(&self, reload: bool) {
        if let Pool::Mysql(_, tokens) | Pool::Postgres(_, tokens) = &self.pool
            && reload
        {
            tokens.clear();
        }
        let refreshed = match &self.pool {
            Pool::Mysql(pool, _) => pool.ensure_fresh().await,
            Pool::Postgres(pool, _) => pool.ensure_fresh().await,
            Pool::Wrapper(_) => Ok(()),
        };
        if let Err(error) = refreshed {
            self.breach(format!("no fresh token: {error}"));
        }
    }

    /// Returns the callers; their choices follow from the seed.
    pub(crate) fn callers(
        self: Arc<Self>,
        random: &mut Random,
    ) -> impl Iterator<Item = impl Future<Output = ()> + use<>> {
        let seeds: Vec<_> = (0..CALLERS).map(|_| random.fork()).collect();
        seeds.into_iter().map(move |random| Arc::clone(&self).call(random))
    }

    /// Asks the callers to end.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    async fn call(self: Arc<Self>, mut random: Random) {
        while !self.ends.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let gives_up = random.below(4) == 0;
            let patience = if gives_up { random.millis(0, 40) } else { STUCK };
            match timeout(patience, self.turn(begun, 1 + random.below(3))).await {
                Ok(Ok(())) => {}
                Ok(Err(seen)) => self.judge(seen, begun),
                Err(_) if gives_up => drop(self.tally.given_up.fetch_add(1, Ordering::Relaxed)),
                Err(_) => self.breach(format!("no answer within {STUCK:?}")),
            }
            sleep(random.millis(1, 25)).await;
        }
    }

    /// Checks a connection out, verifies its instance, and queries numbers that cannot be confused.
    async fn turn(&self, begun: Instant, questions: usize) -> Result<(), Failure> {
        let mut connection = self.pool.get().await?;
        if let Some(writers) = &self.writers {
            let instance = connection.instance().await?.unwrap_or_default();
            if !writers.was_writer(&instance, begun) {
                self.breach(format!("a connection to `{instance}`, which was not the writer"));
            }
            connection.write().await?;
            self.tally.writes.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..questions {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let answer = connection.repeat(number).await?;
            if answer.as_deref() != Some(number.to_string().as_str()) {
                self.breach(format!("asked for {number}, answered {answer:?}"));
            }
            self.tally.answers.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn judge(&self, seen: Failure, begun: Instant) {
        let impact = if seen.starts_with("pool: Login") { Impact::Refused } else { Impact::Broken };
        // Loaded credentials stay in use; no disruption here makes them expire.
        if seen.starts_with("pool: Credentials") || !self.verdict.permits(self.target, impact, begun) {
            self.breach(format!("`{seen}` after {:?} without a cause", begun.elapsed()));
        }
        *self.tally.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(seen).or_default() += 1;
    }

    fn breach(&self, what: String) {
        self.verdict.breach(format!("{}: {what}", self.name));
    }
}

async fn fresh<D: Engine>(tokens: &IamTokenProvider, scheme: &str, port: u16, ca: &str) -> FreshPool<D> {
    let options = PoolOptions::new().max_connections(SIZE as u32).acquire_timeout(Duration::from_secs(10));
    FreshPool::builder()
        .connection_string(format!("{scheme}://{USER}@localhost:{port}/app?plugins=iam&iamHost={HOST}"))
        .parameter("tlsServerName", "localhost")
        .root_certificates(ca)
        .tokens(tokens.clone())
        .pool_options(options)
        .build()
        .await
        .expect("builds")
}

/// A connection checked out of a pool.
enum Connection<'p> {
    Mysql(&'p MySqlFreshPool, sqlx::pool::PoolConnection<sqlx::MySql>),
    Postgres(&'p PgFreshPool, sqlx::pool::PoolConnection<sqlx::Postgres>),
    Wrapper(Box<matrix::Client>),
}

impl Pool {
    async fn get(&self) -> Result<Connection<'_>, Failure> {
        Ok(match self {
            Self::Mysql(pool, _) => {
                Connection::Mysql(pool, pool.pool().acquire().await.map_err(|error| of_sqlx(pool, error))?)
            }
            Self::Postgres(pool, _) => {
                Connection::Postgres(pool, pool.pool().acquire().await.map_err(|error| of_sqlx(pool, error))?)
            }
            Self::Wrapper(pool) => Connection::Wrapper(Box::new(pool.get().await?)),
        })
    }
}

fn of_sqlx<D: Engine>(pool: &FreshPool<D>, error: sqlx::Error) -> Failure {
    format!("pool: {:?}", pool.explain(error).kind())
}

impl Connection<'_> {
    async fn instance(&mut self) -> Result<Option<String>, Failure> {
        match self {
            Self::Wrapper(client) => client.ask_instance().await,
            _ => Ok(None),
        }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        match self {
            Self::Wrapper(client) => client.ask(WRITE).await.map(drop),
            _ => Ok(()),
        }
    }

    async fn repeat(&mut self, number: usize) -> Result<Option<String>, Failure> {
        let sql = format!("SELECT {number}");
        match self {
            Self::Mysql(pool, connection) => {
                let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).persistent(false);
                let answer = query.fetch_one(&mut **connection).await;
                answer.map(|answer| Some(answer.to_string())).map_err(|error| of_sqlx(pool, error))
            }
            Self::Postgres(pool, connection) => {
                let query = sqlx::query_scalar::<_, i32>(AssertSqlSafe(sql)).persistent(false);
                let answer = query.fetch_one(&mut **connection).await;
                answer.map(|answer| Some(answer.to_string())).map_err(|error| of_sqlx(pool, error))
            }
            Self::Wrapper(client) => client.ask(&sql).await,
        }
    }
}
