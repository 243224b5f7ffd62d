//! The history of writers, and the logins over time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rds_testkit::{Cluster, Node};
use rds_wrapper::Topology;
use tokio::time::{Instant, sleep};

const SAMPLE: Duration = Duration::from_millis(10);
/// The monitor opens a connection, and another one if the failover ended the first.
const MONITORS: usize = 2;
const SECOND: Duration = Duration::from_secs(1);

/// The writers of a cluster, one after the other.
#[derive(Debug)]
pub struct Writers(Mutex<Vec<Term>>);

#[derive(Debug)]
struct Term {
    id: &'static str,
    until: Option<Instant>,
}

impl Writers {
    /// Creates the history with its first writer.
    pub fn new(first: &'static str) -> Self {
        Self(Mutex::new(vec![Term { id: first, until: None }]))
    }

    /// Notes an instance that is about to become the writer.
    pub fn begin(&self, id: &'static str) {
        self.terms().push(Term { id, until: None });
    }

    /// Notes that all but the last are no longer writers.
    pub fn end_former(&self) {
        let mut terms = self.terms();
        let former = terms.len() - 1;
        terms[..former].iter_mut().for_each(|term| {
            term.until.get_or_insert(Instant::now());
        });
    }

    /// Returns whether an instance was the writer at some time since `since`.
    pub fn was_writer(&self, id: &str, since: Instant) -> bool {
        self.terms().iter().any(|term| term.id == id && term.until.is_none_or(|until| until >= since))
    }

    fn terms(&self) -> MutexGuard<'_, Vec<Term>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts of logins, and of writers that the topology knows, over time.
#[derive(Debug, Default)]
pub(crate) struct Logins(Vec<Sample>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When the counts began to be read, and when they were: a machine that does much else may let
    /// some time pass in between.
    at: Instant,
    until: Instant,
    /// Those that the servers let in.
    all: usize,
    /// Those that the last writer let in.
    at_writer: usize,
    epoch: u64,
}

impl Logins {
    /// Counts until it is dropped.
    pub(crate) async fn watch(into: &Mutex<Self>, cluster: &Cluster, writer: &Node, topology: &Topology) {
        loop {
            let at = Instant::now();
            let sample = Sample {
                at,
                all: cluster.nodes().iter().map(Node::accepted).sum(),
                at_writer: writer.accepted(),
                epoch: topology.stats().epoch,
                until: Instant::now(),
            };
            into.lock().unwrap_or_else(PoisonError::into_inner).0.push(sample);
            sleep(SAMPLE).await;
        }
    }

    /// The most logins of the servers within any second.
    pub(crate) fn peak(&self) -> usize {
        let within = |end: &Sample| {
            let begin = self.0.iter().rfind(|begin| end.at - begin.at >= SECOND).or(self.0.first());
            begin.map_or(0, |begin| end.all - begin.all)
        };
        self.0.iter().map(within).max().unwrap_or(0)
    }

    /// How many logins there were at most at the last writer beyond the pace: five in the first
    /// second after the writer is known, doubling with each second.
    pub(crate) fn beyond_pace(&self) -> usize {
        let Some(last) = self.0.last() else { return 0 };
        let Some(known) = self.0.iter().position(|sample| sample.epoch == last.epoch) else { return 0 };
        let before = self.0[known.saturating_sub(1)];
        let begin = self.0[0].at_writer + MONITORS;
        let beyond = |sample: &Sample| {
            let seconds = (sample.until.saturating_duration_since(before.at) + SAMPLE).as_secs().min(20);
            let may_be = (5 << (seconds + 1)) - 5;
            sample.at_writer.saturating_sub(begin + may_be)
        };
        self.0.iter().map(beyond).max().unwrap_or(0)
    }
}
