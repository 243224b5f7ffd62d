//! The run: rounds of storms and calms, and the invariants.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    callers::{Application, Tally},
    environment::Environment,
    log::Log,
    output,
    random::Random,
    resources,
    schedule::{CALM, Lane, STORM, Step, storm},
    verdict::{Impact, Target, Verdict},
};

/// The number of storms in a round.
const STORMS: usize = 8;
/// How long the tasks of abandoned calls may live.
const LEAVES: Duration = Duration::from_secs(20);
/// How many allocated bytes may be added between two rounds besides the servers' records: caches
/// that fill once, keys and passwords of rotations. A leak of 512 bytes in each turn of a caller
/// adds more within half a minute, even on a busy machine.
const SLACK: usize = 512 << 10;

/// The length and the seed of a soak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soak {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

/// The results of a soak.
struct Summary {
    tally: Arc<Tally>,
    disruptions: usize,
    rounds: Vec<Footprint>,
}

/// The resources of the process between two rounds.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    /// The allocated bytes, without those of the servers' records.
    memory: usize,
    /// The bytes of the servers' records.
    records: usize,
    descriptors: usize,
}

impl Soak {
    /// Runs the soak; an error is the first broken invariant, with the events before it.
    pub(crate) fn run(self) -> Result<(), String> {
        let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
        // Separate runtimes, so that every task in the second one belongs to the applications.
        let (servers, applications) = (runtime(), runtime());
        let outcome = servers.block_on(self.in_runtimes(applications.handle()));
        shut_down([applications, servers]);
        outcome
    }

    async fn in_runtimes(self, applications: &Handle) -> Result<(), String> {
        let verdict = Arc::new(Verdict::new());
        let environment = Arc::new(Environment::start(Arc::clone(&verdict)).await);
        let log = Log::install(Arc::clone(&verdict), &[environment.service.access_key().secret_access_key()]);
        let mut background = JoinSet::new();
        background.spawn({
            let environment = Arc::clone(&environment);
            async move { environment.tick().await }
        });
        background.spawn(audit(Arc::clone(&environment)));
        let mut summary = Summary { tally: Arc::default(), disruptions: 0, rounds: Vec::new() };

        let begun = Instant::now();
        let broken = tokio::select! {
            broken = verdict.broken() => Some(broken),
            () = self.rounds(&environment, applications, &mut summary) => verdict_now(&verdict).await,
        };
        summary.print(self, &environment, begun.elapsed(), &log);
        match broken {
            Some(broken) => {
                Err(format!("seed {}, {:.1?} after the start: {broken}", self.seed, begun.elapsed()))
            }
            None => Ok(()),
        }
    }

    async fn rounds(self, environment: &Arc<Environment>, applications: &Handle, summary: &mut Summary) {
        let mut random = Random::new(self.seed);
        let storms = (self.length.as_millis() / (STORM + CALM).as_millis()).max(2) as usize;
        // At least two rounds: nothing may be left between them.
        let each = STORMS.min(storms.div_ceil(2));
        let mut left = storms;
        while left > 0 {
            let storms = each.min(left);
            left -= storms;
            round(environment, applications, storms, &mut random, summary).await;
        }
        summary.judge(&environment.verdict);
    }
}

/// Runs new pools through some storms, and checks that nothing is left of them afterwards.
async fn round(
    environment: &Arc<Environment>,
    applications: &Handle,
    storms: usize,
    random: &mut Random,
    summary: &mut Summary,
) {
    let pools = {
        let (environment, tally) = (Arc::clone(environment), Arc::clone(&summary.tally));
        applications
            .spawn(async move { Application::all(&environment, &tally).await })
            .await
            .expect("are built")
    };
    let mut callers = JoinSet::new();
    for pool in &pools {
        for caller in Arc::clone(pool).callers(random) {
            callers.spawn_on(caller, applications);
        }
    }
    let holds = watch(environment, applications, pools.len());
    let stormy = async {
        for _ in 0..storms {
            summary.disruptions += storm_once(environment, applications, &pools, random).await;
            sleep(CALM).await;
        }
    };
    tokio::select! {
        () = holds => unreachable!("it watches for ever"),
        () = stormy => {}
    }
    pools.iter().for_each(|pool| pool.end());
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller panics");
    }
    // Dropped in their own runtime, as in an application.
    applications.spawn(async move { drop(pools) }).await.expect("are dropped");
    let leaves = async {
        while applications.metrics().num_alive_tasks() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(LEAVES, leaves).await.is_err() {
        let tasks = applications.metrics().num_alive_tasks();
        environment.verdict.breach(format!("{tasks} tasks are left {LEAVES:?} after the last pool"));
    }
    summary.rounds.push(Footprint::now(environment));
}

/// Injects disruptions at all targets at the same time.
async fn storm_once(
    environment: &Arc<Environment>,
    applications: &Handle,
    pools: &[Arc<Application>],
    random: &mut Random,
) -> usize {
    let over = Instant::now() + STORM;
    let _permit = environment.verdict.open(&Target::ALL, &[Impact::Broken]);
    let mut lanes = JoinSet::new();
    let mut disruptions = 0;
    for target in Target::ALL {
        let lane = if environment.cluster_of(target).is_some() { Lane::Cluster } else { Lane::Server };
        let steps = storm(lane, random);
        disruptions += steps.len();
        let environment = Arc::clone(environment);
        lanes.spawn(async move {
            let mut lasting = Vec::new();
            for Step { pause, disruption } in steps {
                sleep(pause).await;
                environment.verdict.note(format_args!("{target:?}: {disruption:?}"));
                lasting.extend(environment.disrupt(target, disruption).await);
            }
            environment.clear_faults(target);
        });
    }
    let steps = storm(Lane::Shared, random);
    disruptions += steps.len();
    let (environment, applications, pools) = (Arc::clone(environment), applications.clone(), pools.to_vec());
    lanes.spawn(async move {
        for Step { pause, disruption } in steps {
            sleep(pause).await;
            environment.verdict.note(format_args!("all: {disruption:?}"));
            let refresh = |reload| {
                let pools = pools.clone();
                applications.spawn(async move {
                    for pool in pools {
                        pool.refresh(reload).await;
                    }
                })
            };
            environment.disrupt_all(disruption, refresh).await;
        }
    });
    while let Some(ended) = lanes.join_next().await {
        ended.expect("the harness does what it is told");
    }
    sleep_until(over).await;
    disruptions
}

/// Checks all the time that the applications hold no more tasks and descriptors than their pools
/// may.
async fn watch(environment: &Environment, applications: &Handle, pools: usize) {
    let most = Application::most_sockets(pools);
    loop {
        sleep(Duration::from_millis(500)).await;
        // Each connection has at most one task, and each caller is one.
        let tasks = applications.metrics().num_alive_tasks();
        // Both ends of each connection are in this process, besides the servers' listeners.
        let descriptors = resources::descriptors();
        if tasks > 2 * most || descriptors > 2 * most + 100 {
            environment
                .verdict
                .breach(format!("{tasks} tasks and {descriptors} descriptors of {pools} pools"));
        }
    }
}

/// Audits the refused logins of all servers.
async fn audit(environment: Arc<Environment>) {
    let mut seen = Vec::new();
    loop {
        let looked = Instant::now();
        sleep(Duration::from_millis(50)).await;
        environment.audit(&mut seen, looked);
    }
}

/// Returns the breach of the last moment, if there is one.
async fn verdict_now(verdict: &Verdict) -> Option<String> {
    timeout(Duration::ZERO, verdict.broken()).await.ok()
}

impl Footprint {
    fn now(environment: &Environment) -> Self {
        let servers = Target::ALL.into_iter().flat_map(|target| environment.servers(target));
        let records = servers.map(|server| server.record_bytes()).sum();
        Self {
            memory: resources::memory().saturating_sub(records),
            records,
            descriptors: resources::descriptors(),
        }
    }
}

impl Summary {
    /// Compares the last round with an early one that has already filled the caches.
    fn judge(&self, verdict: &Verdict) {
        let (first, last) = match self.rounds.as_slice() {
            [first, last] => (first, last),
            // The first fills caches; the second is the one to compare with.
            [_, first, .., last] => (first, last),
            _ => return,
        };
        // The servers' sockets close shortly after the applications'.
        if last.descriptors > first.descriptors + 8 {
            verdict.breach(format!("descriptors grow from round to round: {:?}", self.rounds));
        }
        if last.memory > first.memory + SLACK {
            verdict.breach(format!("memory grows from round to round: {:?}", self.rounds));
        }
    }

    fn print(&self, soak: Soak, environment: &Environment, took: Duration, log: &Log) {
        use std::sync::atomic::Ordering::Relaxed;
        let servers = || Target::ALL.into_iter().flat_map(|target| environment.servers(target));
        let (accepted, refused) =
            servers().fold((0, 0), |(yes, no), server| (yes + server.accepted(), no + server.refused()));
        let tally = &self.tally;
        output::line(format_args!("seed {}, {took:.1?}: {} disruptions", soak.seed, self.disruptions));
        output::line(format_args!(
            "answers {}, writes {}, given up {}; logins {accepted}, refused {refused}; log {} KiB",
            tally.answers.load(Relaxed),
            tally.writes.load(Relaxed),
            tally.given_up.load(Relaxed),
            log.bytes() >> 10,
        ));
        for (at, round) in self.rounds.iter().enumerate() {
            output::line(format_args!(
                "after round {}: {} KiB and {} KiB of the servers' records, {} descriptors, 0 tasks",
                at + 1,
                round.memory >> 10,
                round.records >> 10,
                round.descriptors,
            ));
        }
        let failures = tally.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let failures: Vec<_> = failures.iter().map(|(seen, times)| format!("{times} x {seen}")).collect();
        output::line(format_args!("callers saw: {}", failures.join(", ")));
    }
}

fn shut_down(runtimes: [Runtime; 2]) {
    runtimes.into_iter().for_each(Runtime::shutdown_background);
}
