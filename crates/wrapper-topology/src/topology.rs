//! One cluster, shared by everything that connects to it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use wrapper_core::{Background, Error, ErrorKind, Events, Result};

use crate::{
    Dialect, Snapshot,
    choice::jitter,
    handed_out::HandedOut,
    knowledge::{Evidence, Knowledge, Naming, Target, Verdict},
    monitor::Monitor,
    pace::Pace,
    schedule::{Asked, Rates},
    standby::Standby,
    stats::{Counters, TopologyStats},
};

mod asking;
mod builder;
mod effects;
mod handing_out;
mod place;

pub use builder::TopologyBuilder;

use place::Place;

/// Knows one cluster: which instances it has, which one is the writer, and since when.
///
/// Clones share everything. A connector whose `plugins` name `initialConnection` or `failover2`
/// makes one for itself; to share one between connectors, or to watch it, make it in code and give
/// clones to the factories:
///
/// ```
/// use wrapper_core::Registry;
/// use wrapper_topology::{FailoverFactory, Topology};
///
/// let topology = Topology::default();
/// let registry = Registry::<()>::new().with(FailoverFactory::new(topology.clone()));
/// assert!(topology.snapshot().writer().is_none(), "nothing is known before the first connect");
/// ```
///
/// One value is one cluster: there is no process-wide table, and two clusters take two values.
#[derive(Clone)]
pub struct Topology(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Counts what changed: who the writer is, and whether it answers.
    version: watch::Sender<u64>,
    wake: Notify,
    pace: Pace,
    background: Background,
    handed_out: HandedOut,
    standby: Standby,
    counters: Counters,
    turns: AtomicUsize,
    /// Whether it was said that instances are reached by the endpoint only.
    is_detour_told: AtomicBool,
}

struct State {
    kind: Kind,
    monitor: Monitor,
    naming: Option<Naming>,
    listeners: Vec<Events>,
    /// Since when an application suspects something that no plugin has looked into.
    doubted: Option<Instant>,
    /// What the user would have to be granted for the servers to tell of their cluster.
    missing_grants: Option<&'static str>,
    /// Where hosts without a topology were logged in to last.
    places: HashMap<Arc<str>, Place>,
}

/// What kind of cluster it is.
#[derive(Clone, Debug)]
enum Kind {
    /// Nobody asked yet.
    Unknown,
    Known(Dialect),
    /// The servers belong to no cluster that is known.
    None,
}

impl Topology {
    /// Starts to describe a topology with statements of its own.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// Makes the topology of instances that are all known, such as an RDS instance and its read
    /// replicas.
    ///
    /// Hosts may have a port behind a colon; the default is 5432. The first is expected to be the
    /// writer, and each is asked for its role. A host that a connector is configured with stands
    /// for the writer, whichever it is then.
    ///
    /// # Errors
    ///
    /// A configuration error for an invalid host.
    pub fn fixed<'a>(writer: &'a str, readers: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Self::builder().fixed(writer, readers)
    }

    fn with(kind: Kind, knowledge: Knowledge) -> Self {
        let rates = Rates { refresh: crate::parameters::REFRESH, high: crate::parameters::HIGH };
        let state = State {
            kind,
            monitor: Monitor::new(knowledge, rates, Instant::now()),
            naming: None,
            listeners: Vec::new(),
            doubted: None,
            missing_grants: None,
            places: HashMap::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            wake: Notify::new(),
            pace: Pace::default(),
            background: Background::default(),
            handed_out: HandedOut::default(),
            standby: Standby::default(),
            counters: Counters::default(),
            turns: AtomicUsize::new(0),
            is_detour_told: AtomicBool::new(false),
        }))
    }

    /// Returns what is known now.
    pub fn snapshot(&self) -> Snapshot {
        self.state().monitor.snapshot(Instant::now())
    }

    /// Waits until there is another writer than now, and returns what is known then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: compare [`Snapshot::epoch`] to find changes that happened
    /// between two calls.
    pub async fn changed(&self) -> Snapshot {
        let mut version = self.0.version.subscribe();
        let epoch = self.snapshot().epoch();
        loop {
            let snapshot = self.snapshot();
            if snapshot.epoch() != epoch {
                return snapshot;
            }
            // The sender lies in `self`, so that this cannot fail.
            drop(version.changed().await);
        }
    }

    /// Returns how often what happened.
    pub fn stats(&self) -> TopologyStats {
        let snapshot = self.snapshot();
        self.0.counters.read(&snapshot)
    }

    /// Returns what the user has to be granted before the servers tell of their cluster, if one of
    /// them refused for that reason.
    pub fn missing_grants(&self) -> Option<&'static str> {
        self.state().missing_grants
    }

    /// Says that something is wrong with the cluster, as an application may know from elsewhere.
    ///
    /// With `failover2` all instances are asked at once; with `initialConnection` the next
    /// check-outs and connects ask.
    pub fn suspect(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.doubted = Some(now);
        let is_taken = state.monitor.suspect(now);
        drop(state);
        if is_taken {
            Counters::count(&self.0.counters.suspicions);
            self.0.wake.notify_one();
        }
    }

    fn listeners(&self) -> Vec<Events> {
        self.state().listeners.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made whole before anything that could panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds the topology to where instances are, for a connector that is built.
    pub(crate) fn bind(&self, naming: Option<Naming>, rates: Option<Rates>, events: &Events) -> Result<()> {
        let mut state = self.state();
        match (&state.naming, naming) {
            (Some(known), Some(naming)) if known.pattern.as_str() != naming.pattern.as_str() => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "the given topology is of another cluster, whose instances are `{}`, not `{}`: one \
                         topology serves one cluster",
                        known.pattern.as_str(),
                        naming.pattern.as_str()
                    ),
                ));
            }
            (None, Some(naming)) if !state.is_fixed() => {
                state.monitor.knowledge = Knowledge::discovering(naming.clone());
                state.naming = Some(naming);
            }
            _ => {}
        }
        if let Some(rates) = rates {
            state.monitor.schedule.set_rates(rates);
        }
        if !events.is_empty() {
            state.listeners.push(events.clone());
        }
        Ok(())
    }

    pub(crate) fn background(&self) -> &Background {
        &self.0.background
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    pub(crate) fn version(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    pub(crate) fn turns(&self) -> &AtomicUsize {
        &self.0.turns
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Returns whether connects are led to instances: not if the servers belong to no cluster.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.state().kind, Kind::None)
    }

    /// Returns whether all instances are known from the start.
    pub(crate) fn is_fixed(&self) -> bool {
        self.state().is_fixed()
    }

    pub(crate) fn with_knowledge<T>(&self, read: impl FnOnce(&Knowledge) -> T) -> T {
        read(&self.state().monitor.knowledge)
    }

    pub(crate) fn with_monitor<T>(&self, change: impl FnOnce(&mut Monitor) -> T) -> T {
        change(&mut self.state().monitor)
    }

    /// Takes in what an application's connect found out.
    pub(crate) fn answered(&self, evidence: &Evidence) -> Verdict {
        let verdict = self.change(|state| state.monitor.knowledge.answered(evidence));
        let is_detour = self.with_knowledge(|known| {
            known.member(&evidence.answer.id).is_some_and(|member| member.is_behind_endpoint())
        });
        if is_detour && !self.0.is_detour_told.swap(true, Ordering::Relaxed) {
            let instance = evidence.answer.id.escape_debug().to_string();
            tracing::warn!(
                instance,
                "the instance cannot be reached by its own name, so that connects go by the endpoint: does \
                 a security group or the resolver keep instances away?"
            );
        }
        verdict
    }

    /// Takes in what the monitor found out.
    pub(crate) fn monitor_answered(&self, evidence: &Evidence) -> Verdict {
        self.change(|state| state.monitor.answered(evidence, jitter()))
    }

    /// Takes in that an application's connect to an instance failed.
    pub(crate) fn failed(&self, target: &Target, asked: Instant) {
        let now = Instant::now();
        self.change(|state| {
            state.monitor.suspect(now);
            ((), state.monitor.knowledge.failed(target, asked, now))
        });
        self.0.wake.notify_one();
    }

    /// Takes in that the monitor could not ask an instance.
    pub(crate) fn monitor_failed(&self, target: &Target, asked: Instant, outcome: Asked) {
        let now = Instant::now();
        self.change(|state| ((), state.monitor.failed(target, asked, now, outcome, jitter())));
    }
}

impl State {
    fn is_fixed(&self) -> bool {
        self.naming.is_none() && !self.monitor.knowledge.members().is_empty()
    }

    /// Returns who the writer is, and whether it answers.
    fn writer(&self) -> Option<(Arc<str>, bool)> {
        let writer = self.monitor.knowledge.writer()?;
        Some((Arc::clone(&writer.id), writer.is_answering()))
    }
}

impl Default for Topology {
    /// Makes a topology that learns from the servers which instances there are.
    fn default() -> Self {
        Self::with(Kind::Unknown, Knowledge::default())
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Topology")
            .field("writer", &snapshot.writer().map(|writer| writer.id()))
            .field("instances", &snapshot.instances().len())
            .field("epoch", &snapshot.epoch())
            .finish_non_exhaustive()
    }
}
