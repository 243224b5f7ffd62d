//! Applications that write through a failover.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rds_wrapper::{Topology, host::resolver_fn};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Result,
    cluster::{Cluster, ENDPOINT, WRITER, resolve},
    environment::{Engine, Observation},
    login::Login,
    pool::{Client, Pool},
    report::Report,
};

/// How long an application waits after a failure.
const PAUSE: Duration = Duration::from_millis(20);

/// How long an application gives one statement, as the guide recommends.
const STATEMENT: Duration = Duration::from_secs(1);

/// The limit for the first write after the promotion. The applications share five logins in the
/// first second, and the machine may be busy: the matrix measures the goal of one second.
const SOON: Duration = Duration::from_secs(10);

/// The time after which an application counts as stuck.
const STUCK: Duration = Duration::from_secs(30);

/// The activity of an application during the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Idle,
    InFlight,
    InTransaction,
    TwentyWaiting,
}

impl Activity {
    pub(super) fn tasks(self) -> usize {
        match self {
            Self::Idle => 1,
            Self::InFlight | Self::InTransaction => 4,
            Self::TwentyWaiting => 20,
        }
    }
}

/// Returns a login of the application at the writer endpoint of a cluster.
pub(super) fn login<C: Cluster>(cluster: &C, plugin: &str) -> Login {
    let (user, password) = WRITER;
    let database = if matches!(C::ENGINE, Engine::Postgres) { "postgres" } else { "app" };
    Login::new(C::ENGINE)
        .with("host", ENDPOINT)
        .with("port", cluster.nodes().port().to_string())
        .with("user", user)
        .with("password", password)
        .with("database", database)
        .with("plugins", plugin)
        .with("sslmode", "verify-full")
        .with("sslrootcert", cluster.nodes().authority().display().to_string())
}

/// Returns the statement that an application repeats, and then the question who has answered.
pub(super) fn write(engine: Engine) -> [&'static str; 2] {
    match engine {
        Engine::Postgres => {
            ["INSERT INTO public.beats VALUES (now())", "SELECT current_setting('cluster_name')"]
        }
        Engine::Mariadb | Engine::Mysql => {
            ["INSERT INTO app.beats VALUES (now())", "SELECT @@aurora_server_id"]
        }
    }
}

/// An application with a pool.
pub(super) struct Application {
    activity: Activity,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    engine: Engine,
    pool: Pool,
    strike: Arc<Strike>,
    seen: Arc<Mutex<Seen>>,
}

/// The time of a fault.
#[derive(Default)]
pub(super) struct Strike {
    /// When it was begun: the first writer may reject writes from then on.
    pub(super) begun: OnceLock<Instant>,
    /// When the first writer was none any more.
    pub(super) demoted: OnceLock<Instant>,
}

impl Strike {
    /// Returns whether the pool handed out a reader: before the fault no instance that it hands out
    /// rejects writes, and the first writer does only to those who asked for it before its
    /// demotion.
    fn is_wrong(&self, asked: Instant, answered: Instant) -> bool {
        let is_before = self.begun.get().is_none_or(|begun| answered < *begun);
        is_before || self.demoted.get().is_some_and(|demoted| asked >= *demoted)
    }
}

/// What the tasks of an application saw.
#[derive(Default)]
struct Seen {
    /// Connections that the pool handed out although they led to a reader.
    wrong: usize,
    errors: BTreeMap<String, usize>,
}

impl Application {
    /// Builds a pool and fills it.
    pub(super) async fn start<C: Cluster>(
        cluster: &C,
        activity: Activity,
        strike: Arc<Strike>,
    ) -> Result<Self> {
        let topology: Topology = C::topology();
        let connector = login(cluster, "failover2").with_topology(&topology, resolver_fn(resolve))?;
        let pool = connector.pool(activity.tasks().max(4))?;
        let application =
            Self { activity, shared: Shared { engine: C::ENGINE, pool, strike, seen: Arc::default() } };
        let mut held = Vec::new();
        // Held until all four are open: the pool would hand out the first one again.
        for _ in 0..4 {
            held.push(application.shared.pool.get().await?);
        }
        // A fault before every instance was asked would test the first discovery instead.
        topology.suspect();
        let asked = async {
            while topology.snapshot().instances().len() < 3 || topology.stats().questions < 3 {
                sleep(PAUSE).await;
            }
        };
        timeout(STUCK, asked).await.map_err(|_| {
            let (snapshot, grants) = (topology.snapshot(), topology.missing_grants());
            format!("not every instance was asked: {snapshot:?}, missing grants: {grants:?}")
        })?;
        Ok(application)
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity
    }

    /// Starts the activity of the application.
    pub(super) async fn engage(&self) -> Result<JoinSet<Instant>> {
        let mut tasks = JoinSet::new();
        for _ in 0..self.activity.tasks() {
            match self.activity {
                Activity::Idle | Activity::TwentyWaiting => {}
                Activity::InFlight => drop(tasks.spawn(self.write())),
                Activity::InTransaction => {
                    let mut client = self.shared.pool.get().await?;
                    let begin = ["BEGIN", write(self.shared.engine)[0]];
                    client.ask(&begin).await.map_err(|failure| failure.what)?;
                    tasks.spawn(self.shared.clone().write(Some(client)));
                }
            }
        }
        Ok(tasks)
    }

    /// Returns a task that writes until the new writer has taken it.
    pub(super) fn write(&self) -> impl Future<Output = Instant> + use<> {
        self.shared.clone().write(None)
    }

    /// Waits until every task has written to the new writer, and reports it.
    pub(super) async fn row(&self, case: &str, up: Instant, tasks: JoinSet<Instant>, report: &mut Report) {
        let written = timeout(STUCK, tasks.join_all()).await;
        let times = written.unwrap_or_default().into_iter().map(|at| at.saturating_duration_since(up));
        let (first, all) =
            times.fold((STUCK, Duration::ZERO), |(first, all), time| (first.min(time), all.max(time)));
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Zero is a write before `promote` returned; without any write, `first` is `STUCK`.
        let what = match first <= SOON && all > Duration::ZERO || first.is_zero() {
            true => "writes again".to_owned(),
            false => format!("writes after {:.1} s", first.as_secs_f64()),
        };
        let text = format!("{what}; {} wrong", seen.wrong);
        let details = seen.errors.iter().map(|(error, times)| format!("{times} x {error}")).collect();
        let engine = self.shared.engine.name();
        report.row(engine, case, "writes again; 0 wrong", &Observation { text, details });
        let times = format!("first {:.2} s, all {:.2} s", first.as_secs_f64(), all.as_secs_f64());
        report.saw(engine, case, &times);
    }
}

impl Shared {
    /// Writes until the new writer has taken one, and returns when.
    ///
    /// The client that is given holds a transaction: it is kept until its first failure, since the
    /// pool would end the transaction.
    async fn write(self, held: Option<Client>) -> Instant {
        let mut held = held.map(|client| (client, Instant::now()));
        loop {
            let is_held = held.is_some();
            let asked = Instant::now();
            let (mut client, asked) = match held.take() {
                Some(held) => held,
                None => match self.pool.get().await {
                    Ok(client) => (client, asked),
                    Err(error) => {
                        self.note(format!("pool: {error}"));
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            match timeout(STATEMENT, client.ask(&write(self.engine))).await {
                Ok(Ok(id)) if id.as_deref() == Some("b") => return Instant::now(),
                // The former writer took it: the fault has not reached this connection yet.
                Ok(Ok(_)) => {
                    held = is_held.then_some((client, asked));
                    sleep(PAUSE).await;
                }
                Ok(Err(failure)) => {
                    if failure.is_read_only && self.strike.is_wrong(asked, Instant::now()) {
                        self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong += 1;
                    }
                    self.note(failure.what);
                    sleep(PAUSE).await;
                }
                Err(_) => self.note("no answer".to_owned()),
            }
        }
    }

    fn note(&self, error: String) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner).errors.entry(error).or_default() += 1;
    }
}
