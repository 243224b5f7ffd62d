//! The counters of a topology.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Snapshot;

/// The counters of a topology since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopologyStats {
    /// The number of writers seen so far.
    pub epoch: u64,
    /// Connections handed out.
    pub connects: u64,
    /// Connects that reached an instance of the wrong role and were retried.
    pub wrong_roles: u64,
    /// Connections cut because their instance changed its role or became unreachable.
    pub cut: u64,
    /// Answered queries of the monitor.
    pub questions: u64,
    /// Logins of the monitor.
    pub monitor_logins: u64,
    /// Suspicions that led to a check of the topology.
    pub suspicions: u64,
    /// How often the pace of connects was lowered.
    pub paced: u64,
    /// Claims of a second instance to be the writer.
    pub rival_writers: u64,
    /// Answers rejected because they did not come from a member of the cluster.
    pub rejected_answers: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) wrong_roles: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) questions: AtomicU64,
    pub(crate) monitor_logins: AtomicU64,
    pub(crate) suspicions: AtomicU64,
    pub(crate) paced: AtomicU64,
    pub(crate) rival_writers: AtomicU64,
    pub(crate) rejected_answers: AtomicU64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, snapshot: &Snapshot) -> TopologyStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TopologyStats {
            epoch: snapshot.epoch(),
            connects: read(&self.connects),
            wrong_roles: read(&self.wrong_roles),
            cut: read(&self.cut),
            questions: read(&self.questions),
            monitor_logins: read(&self.monitor_logins),
            suspicions: read(&self.suspicions),
            paced: read(&self.paced),
            rival_writers: read(&self.rival_writers),
            rejected_answers: read(&self.rejected_answers),
        }
    }
}
