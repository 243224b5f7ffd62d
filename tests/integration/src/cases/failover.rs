//! Failovers of a real cluster under writing applications: the primary is killed, shut down,
//! frozen, or partitioned from the network.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rds_wrapper::{
    Topology,
    host::resolver_fn,
    pg, plugins,
    topology::{Dialect, FailoverFactory},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::SimpleQueryMessage;

use crate::{
    Result,
    cluster::{Cluster, ENDPOINT, WRITER},
    environment::Observation,
    output,
    prerequisites::Prerequisites,
    report::Report,
    scratch::Scratch,
    service::finish,
};

const WRITE: &str = "INSERT INTO public.beats VALUES (now()); SELECT current_setting('cluster_name')";

/// How long an application waits after a failure.
const PAUSE: Duration = Duration::from_millis(20);

/// How long an application gives one statement, as the guide recommends.
const STATEMENT: Duration = Duration::from_secs(1);

/// The limit for the first write after the promotion. The applications share five logins in the
/// first second, and the machine may be busy: the matrix measures the goal of one second.
const SOON: Duration = Duration::from_secs(10);

/// The time after which an application counts as stuck.
const STUCK: Duration = Duration::from_secs(30);

/// Set if this program runs in its own network namespace.
pub(crate) const APART: &str = "INTEGRATION_APART";

/// The arguments of `ip` that cut the first writer off; open connections go silent.
const CUT_OFF: &str = "route add blackhole 127.0.1.1/32 table local";

/// The fault of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Freeze,
    Kill,
    /// Its packets are dropped, and it keeps running.
    Partition,
    Switch,
}

/// The activity of an application during the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    InFlight,
    InTransaction,
    TwentyWaiting,
}

/// Runs every fault on its own cluster, with one application for each activity.
pub(crate) async fn run(prerequisites: &Prerequisites, scratch: &Scratch, report: &mut Report) -> Result<()> {
    for fault in [Fault::Kill, Fault::Switch, Fault::Freeze] {
        strike(fault, prerequisites, scratch, report).await?;
    }
    apart(report).await
}

/// Partitions the writer; only in this program's own network namespace.
pub(crate) async fn partition(
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    mut report: Report,
) -> Result<()> {
    strike(Fault::Partition, prerequisites, scratch, &mut report).await?;
    report.finish()
}

/// Runs this program again in its own network namespace, for [`partition`].
async fn apart(report: &mut Report) -> Result<()> {
    let case = "failover: Partition, in a network of its own";
    // A namespace of its own, since the black hole must not swallow packets of this machine.
    let network = |script: &str| {
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", &format!("ip link set lo up && {script}")]).kill_on_drop(true);
        command
    };
    // Tried first: in containers root often may not create a namespace.
    let tried = network(&format!("ip {CUT_OFF}")).output().await;
    if !tried.is_ok_and(|tried| tried.status.success()) {
        report.saw("postgresql", case, "SKIPPED: it takes root, `unshare` and `ip`");
        return Ok(());
    }
    let mut program = network("exec \"$0\" \"$@\"");
    program.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(APART, "1");
    let ran = program.output().await?;
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    // The times are shown, and the child's whole table counts as one row here.
    said.lines().filter(|line| line.starts_with("saw ")).for_each(output::line);
    let text = if ran.status.success() { "as expected" } else { "differs" }.to_owned();
    let details = said.lines().map(str::to_owned).collect();
    report.row("postgresql", case, "as expected", &Observation { text, details });
    Ok(())
}

async fn strike(
    fault: Fault,
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    report: &mut Report,
) -> Result<()> {
    let folder = format!("cluster-{fault:?}");
    let mut cluster = Cluster::start(prerequisites, scratch, &folder).await?;
    let mut applications = Vec::new();
    for activity in [Activity::Idle, Activity::InFlight, Activity::InTransaction, Activity::TwentyWaiting] {
        applications.push(Application::start(&cluster, activity).await?);
    }
    let mut running = Vec::new();
    for application in &applications {
        running.push((application.activity, application.engage().await?));
    }
    // Statements are under way.
    sleep(Duration::from_millis(200)).await;
    match fault {
        Fault::Freeze => cluster.freeze("a")?,
        Fault::Kill => cluster.stop("a", true)?,
        Fault::Partition => {
            let mut ip = Command::new("ip");
            ip.args(CUT_OFF.split(' '));
            finish(ip)?;
        }
        Fault::Switch => cluster.stop("a", false)?,
    }
    // On AWS the cluster does this by itself; here no process watches the primary.
    cluster.promote("b").await?;
    let up = Instant::now();
    for (application, (activity, mut tasks)) in applications.iter().zip(running) {
        // The idle applications write only now, over pools that were filled before the fault.
        while tasks.len() < activity.tasks() {
            tasks.spawn(application.shared().write(None));
        }
        application.row(fault, up, tasks, report).await;
    }
    Ok(())
}

impl Activity {
    fn tasks(self) -> usize {
        match self {
            Self::Idle => 1,
            Self::InFlight | Self::InTransaction => 4,
            Self::TwentyWaiting => 20,
        }
    }
}

/// An application with a pool.
struct Application {
    activity: Activity,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    connector: pg::Connector,
    pool: pg::deadpool::Pool,
    seen: Arc<Mutex<Seen>>,
}

/// What the tasks of an application saw.
#[derive(Default)]
struct Seen {
    /// Writes that were answered by a standby.
    wrong: usize,
    errors: BTreeMap<String, usize>,
}

impl Application {
    /// Builds a pool and fills it.
    async fn start(cluster: &Cluster, activity: Activity) -> Result<Self> {
        // PostgreSQL does not list the setting that marks a server as Aurora.
        let topology = Topology::builder().dialect(Dialect::aurora_postgres()).build();
        let (user, password) = WRITER;
        let connector = pg::Connector::builder(plugins().with(FailoverFactory::new(topology.clone())))
            .map([
                ("host", ENDPOINT.to_owned()),
                ("port", cluster.port().to_string()),
                ("user", user.to_owned()),
                ("password", password.to_owned()),
                ("database", "postgres".to_owned()),
                ("plugins", "failover2".to_owned()),
                ("sslrootcert", cluster.authority().display().to_string()),
            ])
            .resolver(resolver_fn(Cluster::resolve))
            .build()?;
        let pool = connector.deadpool_builder().max_size(activity.tasks().max(4)).build()?;
        let seen = Arc::default();
        let application = Self { activity, shared: Shared { connector, pool, seen } };
        let mut held = Vec::new();
        // Held until all four are open: the pool would hand out the first one again.
        for _ in 0..4 {
            held.push(application.shared.pool.get().await?);
        }
        // A fault before every instance was asked would test the first discovery instead.
        topology.suspect();
        while topology.snapshot().instances().len() < 3 || topology.stats().questions < 3 {
            sleep(PAUSE).await;
        }
        Ok(application)
    }

    fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Starts the activity of the application.
    async fn engage(&self) -> Result<JoinSet<Instant>> {
        let mut tasks = JoinSet::new();
        for _ in 0..self.activity.tasks() {
            match self.activity {
                Activity::Idle | Activity::TwentyWaiting => {}
                Activity::InFlight => drop(tasks.spawn(self.shared().write(None))),
                Activity::InTransaction => {
                    let client = self.shared.pool.get().await?;
                    client.batch_execute("BEGIN; INSERT INTO public.beats VALUES (now())").await?;
                    tasks.spawn(self.shared().write(Some(client)));
                }
            }
        }
        Ok(tasks)
    }

    /// Waits until every task has written to the new writer, and reports it.
    async fn row(&self, fault: Fault, up: Instant, tasks: JoinSet<Instant>, report: &mut Report) {
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
        let case = format!("failover: {fault:?}, {:?}", self.activity);
        let details = seen.errors.iter().map(|(error, times)| format!("{times} x {error}")).collect();
        report.row("postgresql", &case, "writes again; 0 wrong", &Observation { text, details });
        let times = format!("first {:.2} s, all {:.2} s", first.as_secs_f64(), all.as_secs_f64());
        report.saw("postgresql", &case, &times);
    }
}

impl Shared {
    /// Writes until the new writer has taken one, and returns when.
    async fn write(self, mut held: Option<pg::deadpool::Client>) -> Instant {
        loop {
            let client = match held.take() {
                Some(client) => client,
                None => match self.pool.get().await {
                    Ok(client) => client,
                    Err(error) => {
                        self.note(format!("pool: {error}"));
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            match timeout(STATEMENT, client.simple_query(WRITE)).await {
                Ok(Ok(answers)) if answered_by(&answers) == Some("b") => return Instant::now(),
                // The former writer took it: the fault has not reached this connection yet.
                Ok(Ok(_)) => sleep(PAUSE).await,
                Ok(Err(error)) => {
                    self.connector.report(&error);
                    let code = error.code().map_or("connection closed", |code| code.code()).to_owned();
                    // `read_only_sql_transaction`: the pool handed out a connection to a standby.
                    if code == "25006" {
                        self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong += 1;
                    }
                    self.note(code);
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

fn answered_by(answers: &[SimpleQueryMessage]) -> Option<&str> {
    answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}
