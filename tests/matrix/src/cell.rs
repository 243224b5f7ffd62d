//! One cell of the matrix: a pool, a fault and an activity.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rds_testkit::{Cluster, Gate, Phase, Rows};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    Activity, Fault, Stack,
    pool::{Client, Pool, SILENT, WRITE},
    sqlx_pool,
    watch::{Logins, Writers},
};

/// How long an application waits after a failure.
const PAUSE: Duration = Duration::from_millis(20);

/// How long statements run before the cluster fails over.
const BUSY: Duration = Duration::from_millis(200);

/// How long a task waits for its write before it counts as failed.
const STUCK: Duration = Duration::from_secs(40);

/// How long a cell may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One cell of the matrix: a pool, a fault and an activity.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The pool.
    pub stack: Stack,
    /// The fault of the cluster.
    pub fault: Fault,
    /// The activity of the application at that moment.
    pub activity: Activity,
}

/// The results of a cell.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The time from when the cluster accepted writes again to the first successful write.
    pub first: Duration,
    /// The same, to the write of the last task.
    pub all: Duration,
    /// Connections handed out that led to an instance other than the writer.
    pub wrong: usize,
    /// The highest number of logins within a second, including the monitor's.
    pub peak: usize,
    /// Logins at the last writer above the pace.
    pub beyond_pace: usize,
    /// The failures that the application saw, with their counts.
    pub seen: BTreeMap<String, usize>,
}

/// Every cell.
fn all() -> Vec<Cell> {
    let full = [Stack::DeadpoolPostgres, Stack::DeadpoolMysql]
        .into_iter()
        .flat_map(|stack| Fault::ALL.into_iter().flat_map(move |fault| of(stack, fault)));
    let column = [Stack::Bb8Postgres, Stack::Bb8Mysql, Stack::SqlxPostgres, Stack::SqlxMysql];
    full.chain(column.into_iter().flat_map(|stack| of(stack, Fault::Kill))).collect()
}

fn of(stack: Stack, fault: Fault) -> impl Iterator<Item = Cell> {
    Activity::ALL.into_iter().map(move |activity| Cell { stack, fault, activity })
}

/// Returns a sample of cells that covers every fault, activity and pool.
pub fn sample() -> Vec<Cell> {
    all().into_iter().step_by(4).collect()
}

/// Returns the cells with all of these words in their names.
pub fn named(words: &[String]) -> Vec<Cell> {
    let is_meant = |cell: &Cell| {
        let name = format!("{} {} {}", cell.stack, cell.fault, cell.activity).to_lowercase();
        words.iter().all(|word| name.contains(&word.to_lowercase()))
    };
    all().into_iter().filter(is_meant).collect()
}

/// Runs cells, up to `together` at the same time, and passes each result to `ended`.
pub async fn run_all(cells: Vec<Cell>, together: usize, mut ended: impl FnMut(Cell, &Measured)) {
    let mut cells = cells.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < together
            && let Some(cell) = cells.next()
        {
            running.spawn(async move { (cell, cell.run().await) });
        }
        let Some(outcome) = running.join_next().await else { return };
        let (cell, measured) = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        ended(cell, &measured);
    }
}

/// The state shared by the tasks of a cell.
struct Run {
    pool: Pool,
    writers: Writers,
    last_writer: &'static str,
    wrong: Mutex<usize>,
    seen: Mutex<BTreeMap<String, usize>>,
}

impl Run {
    fn note(&self, seen: String) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(seen).or_default() += 1;
    }
}

impl Cell {
    /// Runs the cell on its own cluster.
    pub async fn run(self) -> Measured {
        timeout(LIMIT, self.measure())
            .await
            .unwrap_or_else(|_| panic!("{self:?} does not begin within {LIMIT:?}"))
    }

    async fn measure(self) -> Measured {
        let builder = Cluster::builder().deployment(self.stack.deployment()).writer("a").readers(["b", "c"]);
        let builder = builder.answer(WRITE, Rows::affected(1)).certificate_addresses(true);
        let builder = builder.password_user(sqlx_pool::USER, sqlx_pool::PASSWORD);
        let cluster = Arc::new(builder.start().await.expect("starts"));
        cluster.dns().hold();
        let pool = self.stack.pool(&cluster, self.activity.tasks().max(4) + 1).await;
        let run = Arc::new(Run {
            pool,
            writers: Writers::new("a"),
            last_writer: self.fault.last_writer(),
            wrong: Mutex::default(),
            seen: Mutex::default(),
        });
        // Held so that the pool has to connect, for the activity `Connecting`.
        let _kept = self.warm_up(&run).await;

        let logins = Arc::new(Mutex::new(Logins::default()));
        let watching = tokio::spawn({
            let (into, cluster, topology) = (Arc::clone(&logins), Arc::clone(&cluster), run.pool.topology());
            let writer = self.fault.last_writer();
            async move { Logins::watch(&into, &cluster, cluster.node(writer), &topology).await }
        });
        let mut tasks = self.engage(&cluster, &run).await;
        let up = self.fault.strike(&cluster, &run.writers).await;
        for _ in tasks.len()..self.activity.tasks() {
            tasks.spawn(write(Arc::clone(&run), None));
        }
        let mut written = Vec::new();
        while let Ok(Some(ended)) = timeout_at(up + STUCK, tasks.join_next()).await {
            written.push(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
        }
        watching.abort();
        if !tasks.is_empty() {
            run.note(format!("NO WRITE WITHIN {STUCK:?}"));
        }

        let beyond = |(at, _): &(Instant, Client)| at.saturating_duration_since(up);
        let logins = std::mem::take(&mut *logins.lock().unwrap_or_else(PoisonError::into_inner));
        let wrong = *run.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = run.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = written.iter().map(beyond).max().unwrap_or(STUCK);
        Measured {
            first: written.iter().map(beyond).min().unwrap_or(STUCK),
            all: if tasks.is_empty() { last } else { STUCK },
            wrong,
            peak: logins.peak(),
            // sqlx opens its connections itself: the wrapper cannot pace them.
            beyond_pace: if self.stack.is_sqlx() { 0 } else { logins.beyond_pace() },
            seen,
        }
    }

    /// Fills the pool, and waits until the topology knows all instances.
    async fn warm_up(self, run: &Run) -> Option<Client> {
        let mut held = Vec::new();
        for _ in 0..self.activity.warm().max(1) {
            let mut client = run.pool.get().await.expect("is let in");
            // Without the application's timeout: nothing is measured yet, the machine may be busy.
            client.ask(WRITE).await.expect("writes");
            held.push(client);
        }
        let topology = run.pool.topology();
        // The monitor watches the writer then, over a connection of its own.
        topology.suspect();
        while topology.snapshot().instances().len() < 3 || topology.stats().questions < 3 {
            sleep(PAUSE).await;
        }
        held.pop().filter(|_| self.activity.warm() == 0)
    }

    /// Brings the application into its activity.
    async fn engage(self, cluster: &Cluster, run: &Arc<Run>) -> JoinSet<(Instant, Client)> {
        let mut tasks = JoinSet::new();
        let writer = cluster.node("a");
        // Never opened: logins that wait at it end with their connections.
        let gate = Gate::new();
        let count = self.activity.tasks();
        match self.activity {
            Activity::Idle | Activity::FiftyWaiting => {}
            Activity::InFlight => {
                (0..count).for_each(|_| drop(tasks.spawn(write(Arc::clone(run), None))));
                // Each task runs one statement after the other.
                sleep(BUSY).await;
            }
            Activity::Connecting => {
                // The monitor has its connection already.
                writer.inject_times(count, rds_testkit::Fault::Hang(Phase::Login, gate.clone()));
                (0..count).for_each(|_| drop(tasks.spawn(write(Arc::clone(run), None))));
                gate.arrived(count).await;
            }
            Activity::InTransaction => {
                for _ in 0..count {
                    let mut client = run.pool.get().await.expect("is let in");
                    client.ask("BEGIN").await.expect("begins");
                    client.ask(WRITE).await.expect("writes");
                    tasks.spawn(write(Arc::clone(run), Some(client)));
                }
            }
        }
        tasks
    }
}

/// Writes until a write succeeds at the last writer; returns its time and the connection.
async fn write(run: Arc<Run>, mut held: Option<Client>) -> (Instant, Client) {
    loop {
        let asked = Instant::now();
        let (got, is_new) = match held.take() {
            Some(held) => (Ok(held), false),
            None => (run.pool.get().await, true),
        };
        let mut client = match got {
            Ok(client) => client,
            Err(seen) => {
                run.note(seen);
                sleep(PAUSE).await;
                continue;
            }
        };
        let written = client.execute(WRITE).await;
        let at = Instant::now();
        let is_silent = written.as_ref().is_err_and(|seen| seen == SILENT);
        let instance = if is_silent { None } else { client.instance().await };
        let is_wrong = instance.as_deref().is_some_and(|instance| !run.writers.was_writer(instance, asked));
        if is_new && is_wrong {
            *run.wrong.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        match written {
            Ok(()) if instance.as_deref() == Some(run.last_writer) => return (at, client),
            Ok(()) => held = Some(client),
            Err(seen) => {
                run.note(seen);
                sleep(PAUSE).await;
            }
        }
    }
}
