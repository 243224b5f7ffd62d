//! The servers, the keys and the clock, and what goes wrong with them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use e2e::{CountingSource, HOST, USER, secrets::secret};
use matrix::{WRITE, Writers};
use rds_testkit::{
    AccessKey, Attempt, Cluster, Deployment, Fault, MysqlServer, Node, PostgresServer, Rows, SecretsServer,
    ServerError, TokenPolicy,
};
use rds_wrapper::IamTokenProvider;
use token_cache::ManualClock;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    log::MARK,
    schedule::Disruption,
    verdict::{Impact::Refused, Permit, Target, Verdict},
};

/// How often the clock moves.
const TICK: Duration = Duration::from_millis(20);
/// How long after a failover DNS follows where it lags.
const LAG: Duration = Duration::from_millis(400);
/// How many connections to a target may be opened at once, with those of monitors.
const CONNECTIONS: usize = 24;
const NODES: [&str; 3] = ["a", "b", "c"];
/// The user of the clusters whose password lies in Secrets Manager.
const SECRET_USER: &str = "app";

/// What a test can do to a server, whichever it is.
pub(crate) trait Server: Send + Sync {
    fn inject(&self, times: usize, fault: Fault);
    fn clear_faults(&self);
    fn cut(&self);
    fn freeze(&self);
    fn thaw(&self);
    fn accepted(&self) -> usize;
    fn refused(&self) -> usize;
    fn attempts(&self) -> Vec<Attempt>;
    /// The memory of its records, which are bounded and fill up in the course of a run.
    fn record_bytes(&self) -> usize;
}

macro_rules! servers {
    ($($server:ty),*) => {$(
        impl Server for $server {
            fn inject(&self, times: usize, fault: Fault) {
                self.inject_times(times, fault);
            }

            fn clear_faults(&self) {
                self.clear_faults();
            }

            fn cut(&self) {
                self.drop_connections();
            }

            fn freeze(&self) {
                self.freeze();
            }

            fn thaw(&self) {
                self.thaw();
            }

            fn accepted(&self) -> usize {
                self.accepted()
            }

            fn refused(&self) -> usize {
                self.refused()
            }

            fn attempts(&self) -> Vec<Attempt> {
                self.attempts()
            }

            fn record_bytes(&self) -> usize {
                let (attempts, queries) = (self.attempts(), self.queries());
                let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                let of_attempt = |attempt: &Attempt| {
                    let own = attempt.user.len() + attempt.database.len() + attempt.detail.len();
                    own + text(&attempt.server_name) + text(&attempt.access_key_id)
                };
                // Their buffers grow by doubling.
                attempts.len().next_power_of_two() * size_of::<Attempt>()
                    + queries.len().next_power_of_two() * size_of::<String>()
                    + attempts.iter().map(of_attempt).sum::<usize>()
                    + queries.iter().map(String::len).sum::<usize>()
            }
        }
    )*};
}

servers!(MysqlServer, Node, PostgresServer);

/// A cluster and who was its writer when.
pub(crate) struct WatchedCluster {
    pub(crate) cluster: Cluster,
    pub(crate) writers: Arc<Writers>,
}

/// Everything that applications connect to.
pub(crate) struct Environment {
    pub(crate) postgres: WatchedCluster,
    pub(crate) mysql: WatchedCluster,
    pub(crate) postgres_server: PostgresServer,
    pub(crate) mysql_server: MysqlServer,
    pub(crate) service: SecretsServer,
    pub(crate) clock: ManualClock,
    pub(crate) verdict: Arc<Verdict>,
    source: CountingSource,
    /// The number of keys and passwords so far.
    made: AtomicUsize,
    key: std::sync::Mutex<AccessKey>,
}

impl Environment {
    pub(crate) async fn start(verdict: Arc<Verdict>) -> Self {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let time = {
            let clock = clock.clone();
            move || clock.now()
        };
        let key = key(0);
        let start = async |deployment| {
            let builder = Cluster::builder().deployment(deployment).writer("a").readers(["b", "c"]);
            let builder = builder.access_key(key.clone()).password_user(SECRET_USER, password(0));
            let builder = builder.clock(time.clone()).answer(WRITE, Rows::affected(1));
            let cluster = builder.start().await.expect("starts");
            WatchedCluster { cluster, writers: Arc::new(Writers::new("a")) }
        };
        // sqlx verifies the name that it dials.
        let postgres = PostgresServer::builder().host(HOST).host("localhost").user(USER);
        let mysql = MysqlServer::builder().host(HOST).host("localhost").user(USER);
        let service = SecretsServer::start().await.expect("starts");
        for deployment in [Deployment::AuroraPostgres, Deployment::AuroraMysql] {
            service.put(secret_id(deployment), secret(SECRET_USER, &password(0)));
        }
        Self {
            postgres: start(Deployment::AuroraPostgres).await,
            mysql: start(Deployment::AuroraMysql).await,
            postgres_server: postgres
                .access_key(key.clone())
                .clock(time.clone())
                .start()
                .await
                .expect("starts"),
            mysql_server: mysql.access_key(key.clone()).clock(time.clone()).start().await.expect("starts"),
            service,
            source: CountingSource::new(&key),
            clock,
            verdict,
            made: AtomicUsize::new(1),
            key: std::sync::Mutex::new(key),
        }
    }

    /// Returns tokens of the keys that rotate.
    pub(crate) fn tokens(&self) -> IamTokenProvider {
        IamTokenProvider::builder()
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                self.source.clone(),
            ))
            .clock(Arc::new(self.clock.clone()))
            .build()
            .expect("builds")
    }

    pub(crate) fn cluster_of(&self, target: Target) -> Option<&WatchedCluster> {
        match target {
            Target::PostgresCluster => Some(&self.postgres),
            Target::MysqlCluster => Some(&self.mysql),
            Target::MysqlServer | Target::PostgresServer => None,
        }
    }

    pub(crate) fn servers(&self, target: Target) -> Vec<&dyn Server> {
        match (self.cluster_of(target), target) {
            (Some(watched), _) => watched.cluster.nodes().iter().map(|node| node as &dyn Server).collect(),
            (None, Target::PostgresServer) => vec![&self.postgres_server],
            (None, _) => vec![&self.mysql_server],
        }
    }

    fn policies(&self) -> [&TokenPolicy; 4] {
        [
            self.postgres.cluster.token_policy(),
            self.mysql.cluster.token_policy(),
            self.postgres_server.token_policy(),
            self.mysql_server.token_policy(),
        ]
    }

    /// Advances the shared clock in real time.
    pub(crate) async fn tick(&self) {
        let mut before = Instant::now();
        loop {
            sleep(TICK).await;
            let now = Instant::now();
            self.clock.advance(now - before);
            before = now;
        }
    }

    /// Injects a disruption at one target and returns when it is over, except for faults that last
    /// until [`clear_faults`](Self::clear_faults).
    pub(crate) async fn disrupt(&self, target: Target, disruption: Disruption) -> Option<Permit> {
        let servers = self.servers(target);
        let server = |at: usize| servers[at % servers.len()];
        let inject =
            |times, fault: Fault| servers.iter().for_each(|server| server.inject(times, fault.clone()));
        match disruption {
            Disruption::Cut(at) => server(at).cut(),
            Disruption::DropAt(phase, times) => inject(times, Fault::Drop(phase)),
            Disruption::Partial(times) => inject(times, Fault::PartialResult),
            Disruption::Refuse(times) => {
                let permit = self.verdict.open(&[target], &[Refused]);
                let error = match target {
                    Target::MysqlCluster | Target::MysqlServer => {
                        ServerError::new("1045", "Access denied for user")
                    }
                    _ => ServerError::new("28000", "PAM authentication failed for user"),
                };
                inject(times, Fault::Refuse(error));
                return Some(permit);
            }
            Disruption::Freeze(at, time) => {
                server(at).freeze();
                sleep(time).await;
                server(at).thaw();
            }
            Disruption::FailOver { other, dns_lags } => {
                let watched = self.cluster_of(target)?;
                if dns_lags {
                    watched.cluster.dns().hold();
                }
                watched.fail_over(other);
                if dns_lags {
                    sleep(LAG).await;
                    watched.cluster.dns().release();
                }
            }
            Disruption::Kill { other, outage } => {
                let watched = self.cluster_of(target)?;
                let dead = watched.cluster.writer().id().to_owned();
                watched.cluster.kill(&dead).await;
                sleep(outage).await;
                watched.fail_over(other);
                sleep(outage).await;
                watched.cluster.restart(&dead).await.expect("has its port again");
            }
            Disruption::Jump(_)
            | Disruption::RotateKey
            | Disruption::RotateSecret(_)
            | Disruption::SourceFails(_) => {}
        }
        None
    }

    /// Injects a disruption shared by all targets; `refresh` makes the sqlx pools check their
    /// tokens, as their guide asks for, with or without reloaded credentials.
    pub(crate) async fn disrupt_all(&self, disruption: Disruption, refresh: impl Fn(bool) -> JoinHandle<()>) {
        // sqlx does not retry a login: a connect that was about to use the former token fails.
        let without_retry = [Target::PostgresServer, Target::MysqlServer];
        match disruption {
            Disruption::Jump(seconds) => {
                let _refused = self.verdict.open(&Target::ALL, &[Refused]);
                self.verdict.outdate(&Target::ALL, CONNECTIONS);
                let by = Duration::from_secs(seconds.unsigned_abs());
                let now = self.clock.now();
                self.clock.set(if seconds < 0 { now - by } else { now + by });
                refresh(false).await.expect("does not panic");
            }
            Disruption::RotateKey => {
                self.verdict.outdate(&Target::ALL, CONNECTIONS);
                let _refused = self.verdict.open(&without_retry, &[Refused]);
                let new = key(self.made.fetch_add(1, Ordering::Relaxed));
                let old = std::mem::replace(&mut *self.key.lock().expect("whole"), new.clone());
                self.policies().iter().for_each(|policy| policy.add_key(new.clone()));
                self.source.set(&new, None);
                // A refusal reloads credentials older than half a minute, or older than a minute
                // after a reload that returned the same key, as an earlier disruption may have
                // caused.
                self.clock.advance(Duration::from_secs(61));
                let [first, second, single @ ..] = self.policies();
                for policy in [first, second] {
                    policy.revoke_key(old.access_key_id());
                }
                refresh(true).await.expect("does not panic");
                for policy in single {
                    policy.revoke_key(old.access_key_id());
                }
            }
            Disruption::RotateSecret(which) => {
                let (watched, target) = match which {
                    0 => (&self.postgres, Target::PostgresCluster),
                    _ => (&self.mysql, Target::MysqlCluster),
                };
                self.verdict.outdate(&[target], CONNECTIONS);
                let word = password(self.made.fetch_add(1, Ordering::Relaxed));
                let id = secret_id(watched.cluster.deployment());
                self.service.rotate(id, secret(SECRET_USER, &word));
                watched.cluster.token_policy().add_password_user(SECRET_USER, &word);
                self.service.finish_rotation(id);
            }
            Disruption::SourceFails(time) => {
                // A replaced key that is still in use is refused, and the source returns no other.
                let _refused = self.verdict.open(&Target::ALL, &[Refused]);
                self.source.fail();
                sleep(time).await;
                let key = self.key.lock().expect("whole").clone();
                self.source.set(&key, None);
            }
            _ => {}
        }
    }

    /// Clears the faults of a target.
    pub(crate) fn clear_faults(&self, target: Target) {
        self.servers(target).iter().for_each(|server| server.clear_faults());
    }

    /// Checks every login that a server has refused since the last audit.
    pub(crate) fn audit(&self, seen: &mut Vec<usize>, looked: Instant) {
        let all = Target::ALL
            .into_iter()
            .flat_map(|target| self.servers(target).into_iter().map(move |server| (target, server)));
        for (at, (target, server)) in all.enumerate() {
            let refused = server.refused();
            if seen.len() <= at {
                seen.push(0);
            }
            let new = refused - std::mem::replace(&mut seen[at], refused);
            if new > 0 {
                let attempts = server.attempts();
                let of_late = attempts.iter().rev().filter_map(|attempt| match attempt.outcome {
                    rds_testkit::Outcome::Refused(refusal) => Some((refusal, &attempt.detail)),
                    _ => None,
                });
                for (refusal, detail) in of_late.take(new) {
                    self.audit_one(target, refusal, detail, looked);
                }
            }
        }
    }

    fn audit_one(&self, target: Target, refusal: rds_testkit::Refusal, detail: &str, looked: Instant) {
        use rds_testkit::Refusal as R;
        let has_cause = match refusal {
            R::Injected => self.verdict.permits(target, Refused, looked),
            R::Expired | R::NotYetValid | R::UnknownKey | R::WrongPassword => {
                self.verdict.is_outdated(target)
            }
            _ => false,
        };
        if !has_cause {
            self.verdict.breach(format!("{target:?} refused a login without a cause: {refusal} {detail}"));
        }
    }
}

impl WatchedCluster {
    /// Promotes one of the two readers.
    fn fail_over(&self, other: usize) {
        let writer = self.cluster.writer().id();
        let others: Vec<_> = NODES.into_iter().filter(|node| *node != writer).collect();
        self.writers.begin(others[other]);
        self.cluster.fail_over(others[other]);
        self.writers.end_former();
    }
}

pub(crate) fn secret_id(deployment: Deployment) -> &'static str {
    match deployment {
        Deployment::AuroraMysql => "prod/mysql",
        _ => "prod/postgres",
    }
}

fn key(number: usize) -> AccessKey {
    AccessKey::new(format!("ASIASOAK{number:08}"), format!("{MARK}{number}/key+of"))
        .with_session_token(format!("{MARK}{number}//session+token=="))
}

fn password(number: usize) -> String {
    format!("{MARK}{number}-pass/word")
}
