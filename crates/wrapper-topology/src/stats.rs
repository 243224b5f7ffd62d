//! What happened so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Snapshot;

/// Counts what happened to one topology since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopologyStats {
    /// How many writers there were.
    pub epoch: u64,
    /// Connections that were handed out.
    pub connects: u64,
    /// Connects that were led to an instance of another role than the wanted one, and tried again.
    pub wrong_roles: u64,
    /// Connections that were ended because of what became of their instance.
    pub cut: u64,
    /// Questions of the monitor that were answered.
    pub questions: u64,
    /// Logins of the monitor.
    pub monitor_logins: u64,
    /// Suspicions that were looked into.
    pub suspicions: u64,
    /// How often the pace of connects was slowed down.
    pub paced: u64,
    /// Second instances that claimed to be the writer.
    pub second_claims: u64,
    /// Answers that did not count, because they came from no member of the cluster.
    pub strangers: u64,
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
    pub(crate) second_claims: AtomicU64,
    pub(crate) strangers: AtomicU64,
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
            second_claims: read(&self.second_claims),
            strangers: read(&self.strangers),
        }
    }
}
