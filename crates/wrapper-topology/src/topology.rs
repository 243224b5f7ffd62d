//! One cluster, shared by everything that connects to it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use tokio::{sync::watch, time::Instant};
use wrapper_core::{Background, Error, ErrorKind, Events, Result};

use crate::{
    Dialect, Snapshot,
    knowledge::{Knowledge, Naming},
    monitor::Monitor,
    open_connections::OpenConnections,
    pace::Pace,
    schedule::Rates,
    standby_report::StandbyReport,
    stats::{Counters, TopologyStats},
};

mod builder;
mod connections;
mod effects;
mod evidence;
mod host_addresses;
mod queries;
mod weak;

pub use builder::TopologyBuilder;

use effects::Consequences;
use host_addresses::HostAddresses;

/// Tracks one cluster: its instances, its writer, and when the writer changed.
///
/// Clones share everything. A connector with the plugin `initialConnection` or `failover2` creates
/// its own; to share one between connectors, or to watch it, create it in code and give clones to
/// the factories:
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
/// One value is one cluster: there is no process-wide table, and two clusters need two values.
#[derive(Clone)]
pub struct Topology(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Incremented when the writer changes, or starts or stops answering.
    version: watch::Sender<u64>,
    /// Changes with `version`, and when an instance reports that it is a reader.
    reports: watch::Sender<()>,
    /// Wakes every task of the monitor: one in a runtime that is not driven must not take the
    /// wake-up from another.
    wake: watch::Sender<()>,
    pace: Pace,
    background: Background,
    open_connections: OpenConnections,
    standby: StandbyReport,
    counters: Counters,
    turns: AtomicUsize,
    /// Whether the warning about instances behind the endpoint was logged.
    has_warned_of_endpoint: AtomicBool,
}

struct State {
    kind: Kind,
    monitor: Monitor,
    naming: Option<Naming>,
    /// Held weakly: those of a connector go with it.
    listeners: Vec<Weak<Events>>,
    /// What follows from changes and is not applied yet, the oldest first.
    consequences: VecDeque<Consequences>,
    /// Whether a thread applies them.
    is_applying: bool,
    /// The time of an application's suspicion that is not yet verified.
    doubted: Option<Instant>,
    /// The grants that the user lacks to query the topology.
    missing_grants: Option<&'static str>,
    /// The addresses of hosts without a topology, from the last logins.
    host_addresses: HashMap<Arc<str>, HostAddresses>,
}

/// The kind of the cluster.
#[derive(Clone, Debug)]
enum Kind {
    /// Not queried yet.
    Unknown,
    Known(Dialect),
    /// The servers do not belong to a known kind of cluster.
    None,
}

impl Topology {
    /// Creates a builder, for custom statements or a fixed list of instances.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// Creates a topology with a fixed list of instances, such as an RDS instance and its read
    /// replicas.
    ///
    /// Each host may have a port, `host:port`; the default is 5432. The first is expected to be the
    /// writer, and each is queried for its role. The host that a connector is configured with
    /// stands for the current writer.
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
            consequences: VecDeque::new(),
            is_applying: false,
            doubted: None,
            missing_grants: None,
            host_addresses: HashMap::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            reports: watch::Sender::new(()),
            wake: watch::Sender::new(()),
            pace: Pace::default(),
            background: Background::default(),
            open_connections: OpenConnections::default(),
            standby: StandbyReport::default(),
            counters: Counters::default(),
            turns: AtomicUsize::new(0),
            has_warned_of_endpoint: AtomicBool::new(false),
        }))
    }

    /// Returns the current state of the cluster.
    pub fn snapshot(&self) -> Snapshot {
        self.state().monitor.snapshot(Instant::now())
    }

    /// Waits until the writer changes, and returns the new state.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing, but changes between two calls are missed: see
    /// [`changed_since`](Self::changed_since).
    pub async fn changed(&self) -> Snapshot {
        self.changed_since(self.snapshot().epoch()).await
    }

    /// Waits until the [epoch](Snapshot::epoch) is later than the given one, and returns the new
    /// state; a change that happened before the call counts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn changed_since(&self, epoch: u64) -> Snapshot {
        let mut version = self.0.version.subscribe();
        loop {
            let snapshot = self.snapshot();
            if snapshot.epoch() > epoch {
                return snapshot;
            }
            // The sender lives in `self`, so this cannot fail.
            drop(version.changed().await);
        }
    }

    /// Returns the counters.
    pub fn stats(&self) -> TopologyStats {
        let snapshot = self.snapshot();
        self.0.counters.read(&snapshot)
    }

    /// Returns the grants that the user lacks, if a server refused to report its cluster without
    /// them.
    pub fn missing_grants(&self) -> Option<&'static str> {
        self.state().missing_grants
    }

    /// Reports a suspicion that something is wrong with the cluster.
    ///
    /// With `failover2` all instances are queried at once, even after a long time without connects;
    /// with `initialConnection` the next check-outs and connects query them.
    pub fn suspect(&self) {
        let mut state = self.state();
        // Under the lock, so that no earlier time replaces a later one.
        let now = Instant::now();
        // Noted even if the monitor is blocked: the next check-outs then verify for themselves.
        state.doubted = Some(now);
        let is_taken = state.monitor.suspect(now);
        // Before the wake: the monitor's first step takes this lock.
        drop(state);
        if is_taken {
            Counters::count(&self.0.counters.suspicions);
            self.wake();
        }
    }

    fn listeners(&self) -> Vec<Arc<Events>> {
        self.state().listeners()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code between two related changes can panic, so a poisoned state is still consistent.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds the topology to the instance naming and the listeners of a new connector, which hear
    /// of it until the returned handle is dropped.
    pub(crate) fn bind(
        &self,
        naming: Option<Naming>,
        rates: Option<Rates>,
        events: &Events,
    ) -> Result<Arc<Events>> {
        let mut state = self.state();
        match (&state.naming, naming) {
            (Some(known), Some(naming)) if known.pattern.as_str() != naming.pattern.as_str() => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "the given topology belongs to the cluster with instances `{}`, not `{}`: use one \
                         topology per cluster",
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
        let events = Arc::new(events.clone());
        if !events.is_empty() {
            // Swept here, so that a topology that outlives its connectors keeps no dead entries.
            state.listeners.retain(|listeners| listeners.strong_count() > 0);
            state.listeners.push(Arc::downgrade(&events));
        }
        Ok(events)
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

    pub(crate) fn reports(&self) -> watch::Receiver<()> {
        self.0.reports.subscribe()
    }

    pub(crate) fn wake(&self) {
        self.0.wake.send_replace(());
    }

    /// Returns what changes whenever the monitor is woken.
    pub(crate) fn wakes(&self) -> watch::Receiver<()> {
        self.0.wake.subscribe()
    }

    pub(crate) fn turns(&self) -> &AtomicUsize {
        &self.0.turns
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Returns whether connects are left alone because the servers belong to no cluster.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.state().kind, Kind::None)
    }

    /// Returns whether the list of instances is fixed.
    pub(crate) fn is_fixed(&self) -> bool {
        self.state().is_fixed()
    }

    pub(crate) fn with_knowledge<T>(&self, read: impl FnOnce(&Knowledge) -> T) -> T {
        // The closure runs under the lock, so it must not call back into the topology.
        read(&self.state().monitor.knowledge)
    }

    pub(crate) fn with_monitor<T>(&self, change: impl FnOnce(&mut Monitor) -> T) -> T {
        change(&mut self.state().monitor)
    }
}

impl State {
    fn is_fixed(&self) -> bool {
        self.naming.is_none() && !self.monitor.knowledge.members().is_empty()
    }

    fn listeners(&self) -> Vec<Arc<Events>> {
        self.listeners.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns the writer's id, and whether it answers.
    fn writer(&self) -> Option<(Arc<str>, bool)> {
        let writer = self.monitor.knowledge.writer()?;
        Some((Arc::clone(&writer.id), writer.is_answering()))
    }
}

impl Default for Topology {
    /// Creates a topology that discovers the instances from the servers.
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
