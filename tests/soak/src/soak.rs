//! The run: storms and calms in rounds, and what must hold all the time.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    callers::{Application, Tally},
    log::Log,
    output,
    random::Random,
    resources,
    schedule::{CALM, Lane, STORM, Step, storm},
    verdict::{Harm, Target, Verdict},
    world::World,
};

/// How many storms the pools of a round live through.
const STORMS: usize = 8;
/// How long what callers have given up may stay.
const LEAVES: Duration = Duration::from_secs(20);
/// How much memory may grow from the second round on: what an allocator keeps, and for each entry
/// of the servers' records, which are bounded, its size.
const SLACK: u64 = 12 << 20;
const ENTRY: u64 = 200;

/// A soak of a length, by a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soak {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

/// What a soak has seen.
struct Summary {
    tally: Arc<Tally>,
    troubles: usize,
    rounds: Vec<Footprint>,
}

/// What a process holds between two rounds.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    memory: u64,
    descriptors: usize,
    /// The entries of the servers' records.
    entries: usize,
}

impl Soak {
    /// Runs it; an error is the first invariant that did not hold, with what was seen.
    pub(crate) fn run(self) -> Result<(), String> {
        let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
        // What the second runtime holds is the applications'.
        let (servers, applications) = (runtime(), runtime());
        let outcome = servers.block_on(self.in_runtimes(applications.handle()));
        shut_down([applications, servers]);
        outcome
    }

    async fn in_runtimes(self, applications: &Handle) -> Result<(), String> {
        let verdict = Arc::new(Verdict::new());
        let world = Arc::new(World::start(Arc::clone(&verdict)).await);
        let log = Log::install(Arc::clone(&verdict), &[world.service.access_key().secret_access_key()]);
        let mut background = JoinSet::new();
        background.spawn({
            let world = Arc::clone(&world);
            async move { world.tick().await }
        });
        background.spawn(audit(Arc::clone(&world)));
        let mut summary = Summary { tally: Arc::default(), troubles: 0, rounds: Vec::new() };

        let begun = Instant::now();
        let broken = tokio::select! {
            broken = verdict.broken() => Some(broken),
            () = self.rounds(&world, applications, &mut summary) => verdict_now(&verdict).await,
        };
        summary.print(self, &world, begun.elapsed(), &log);
        match broken {
            Some(broken) => {
                Err(format!("seed {}, {:.1?} after the start: {broken}", self.seed, begun.elapsed()))
            }
            None => Ok(()),
        }
    }

    async fn rounds(self, world: &Arc<World>, applications: &Handle, summary: &mut Summary) {
        let mut random = Random::new(self.seed);
        let storms = (self.length.as_millis() / (STORM + CALM).as_millis()).max(2) as usize;
        // At least two rounds: between them nothing may be left.
        let each = STORMS.min(storms.div_ceil(2));
        let mut left = storms;
        while left > 0 {
            let storms = each.min(left);
            left -= storms;
            round(world, applications, storms, &mut random, summary).await;
        }
        summary.judge(&world.verdict);
    }
}

/// Lets new pools live through some storms, and sees that nothing is left of them then.
async fn round(
    world: &Arc<World>,
    applications: &Handle,
    storms: usize,
    random: &mut Random,
    summary: &mut Summary,
) {
    let pools = {
        let (world, tally) = (Arc::clone(world), Arc::clone(&summary.tally));
        applications.spawn(async move { Application::all(&world, &tally).await }).await.expect("are built")
    };
    let mut callers = JoinSet::new();
    for pool in &pools {
        for caller in Arc::clone(pool).callers(random) {
            callers.spawn_on(caller, applications);
        }
    }
    let holds = watch(world, applications, pools.len());
    let stormy = async {
        for _ in 0..storms {
            summary.troubles += one_storm(world, applications, &pools, random).await;
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
    // In their own runtime, as an application would.
    applications.spawn(async move { drop(pools) }).await.expect("are dropped");
    let leaves = async {
        while applications.metrics().num_alive_tasks() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(LEAVES, leaves).await.is_err() {
        let tasks = applications.metrics().num_alive_tasks();
        world.verdict.breach(format!("{tasks} tasks are left {LEAVES:?} after the last pool"));
    }
    summary.rounds.push(Footprint::now(world));
}

/// Lets things go wrong at all targets side by side.
async fn one_storm(
    world: &Arc<World>,
    applications: &Handle,
    pools: &[Arc<Application>],
    random: &mut Random,
) -> usize {
    let over = Instant::now() + STORM;
    let _permit = world.verdict.open(&Target::ALL, &[Harm::Broken]);
    let mut lanes = JoinSet::new();
    let mut troubles = 0;
    for target in Target::ALL {
        let lane = if world.site(target).is_some() { Lane::Cluster } else { Lane::Server };
        let steps = storm(lane, random);
        troubles += steps.len();
        let world = Arc::clone(world);
        lanes.spawn(async move {
            let mut lasting = Vec::new();
            for Step { pause, trouble } in steps {
                sleep(pause).await;
                world.verdict.note(format_args!("{target:?}: {trouble:?}"));
                lasting.extend(world.strike(target, trouble).await);
            }
            world.mend(target);
        });
    }
    let steps = storm(Lane::Shared, random);
    troubles += steps.len();
    let (world, applications, pools) = (Arc::clone(world), applications.clone(), pools.to_vec());
    lanes.spawn(async move {
        for Step { pause, trouble } in steps {
            sleep(pause).await;
            world.verdict.note(format_args!("all: {trouble:?}"));
            let refresh = |anew| {
                let pools = pools.clone();
                applications.spawn(async move {
                    for pool in pools {
                        pool.refresh(anew).await;
                    }
                })
            };
            world.strike_all(trouble, refresh).await;
        }
    });
    while let Some(ended) = lanes.join_next().await {
        ended.expect("the harness does what it is told");
    }
    sleep_until(over).await;
    troubles
}

/// Sees that the applications hold no more than their pools may, all the time.
async fn watch(world: &World, applications: &Handle, pools: usize) {
    let most = Application::most_sockets(pools);
    loop {
        sleep(Duration::from_millis(500)).await;
        // Each connection has a task at most, and each caller is one.
        let tasks = applications.metrics().num_alive_tasks();
        // Both ends of each lie in this process, and the servers listen.
        let descriptors = resources::descriptors();
        if tasks > 2 * most || descriptors > 2 * most + 100 {
            world.verdict.breach(format!("{tasks} tasks and {descriptors} descriptors of {pools} pools"));
        }
    }
}

/// Looks at the refused logins of all servers.
async fn audit(world: Arc<World>) {
    let mut seen = Vec::new();
    loop {
        let looked = Instant::now();
        sleep(Duration::from_millis(50)).await;
        world.audit(&mut seen, looked);
    }
}

/// Returns the breach of the last moment, if there is one.
async fn verdict_now(verdict: &Verdict) -> Option<String> {
    timeout(Duration::ZERO, verdict.broken()).await.ok()
}

impl Footprint {
    fn now(world: &World) -> Self {
        let entries = Target::ALL.into_iter().flat_map(|target| world.servers(target));
        Self {
            memory: resources::memory(),
            descriptors: resources::descriptors(),
            entries: entries.map(|server| server.kept()).sum(),
        }
    }
}

impl Summary {
    /// Compares the last round with an early one, which has filled what is filled once.
    fn judge(&self, verdict: &Verdict) {
        let (first, last) = match self.rounds.as_slice() {
            [first, last] => (first, last),
            // The second still fills what an allocator keeps.
            [_, first, .., last] => (first, last),
            _ => return,
        };
        // The servers' ends close a moment after the applications'.
        if last.descriptors > first.descriptors + 8 {
            verdict.breach(format!("descriptors grow from round to round: {:?}", self.rounds));
        }
        let grown = last.memory.saturating_sub(first.memory);
        if grown > SLACK + ENTRY * (last.entries - first.entries) as u64 {
            verdict.breach(format!("memory grows from round to round: {:?}", self.rounds));
        }
    }

    fn print(&self, soak: Soak, world: &World, took: Duration, log: &Log) {
        use std::sync::atomic::Ordering::Relaxed;
        let servers = || Target::ALL.into_iter().flat_map(|target| world.servers(target));
        let (accepted, refused) =
            servers().fold((0, 0), |(yes, no), server| (yes + server.accepted(), no + server.refused()));
        let tally = &self.tally;
        output::line(format_args!("seed {}, {took:.1?}: {} troubles", soak.seed, self.troubles));
        output::line(format_args!(
            "answers {}, writes {}, given up {}; logins {accepted}, refused {refused}; log {} KiB",
            tally.answers.load(Relaxed),
            tally.writes.load(Relaxed),
            tally.given_up.load(Relaxed),
            log.bytes() >> 10,
        ));
        for (at, round) in self.rounds.iter().enumerate() {
            output::line(format_args!(
                "after round {}: {:.1} MiB, {} descriptors, 0 tasks, {} entries in the servers' records",
                at + 1,
                round.memory as f64 / f64::from(1 << 20),
                round.descriptors,
                round.entries,
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
