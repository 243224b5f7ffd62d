//! The state of a cluster at one moment.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wrapper_core::Role;

use crate::knowledge::{Knowledge, Member};

/// The state of a cluster at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    instances: Arc<[Instance]>,
    writer: Option<usize>,
    epoch: u64,
    epoch_began: Option<Instant>,
    at: Instant,
}

/// One instance of a cluster.
#[derive(Clone, Debug)]
pub struct Instance {
    id: Arc<str>,
    host: Arc<str>,
    port: u16,
    role: Option<Role>,
    lag: Option<Duration>,
    cpu: Option<f32>,
    seen: Option<Instant>,
    is_answering: bool,
}

impl Snapshot {
    pub(crate) fn of(knowledge: &Knowledge, at: Instant) -> Self {
        let instances: Arc<[Instance]> = knowledge.members().iter().map(Instance::of).collect();
        let writer = knowledge.writer().map(|writer| &writer.id);
        Self {
            writer: writer.and_then(|writer| instances.iter().position(|instance| instance.id == *writer)),
            instances,
            epoch: knowledge.epoch(),
            epoch_began: knowledge.changed_at(),
            at,
        }
    }

    /// Returns all instances, 32 at most.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Returns the instance with this id, ignoring case.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id.eq_ignore_ascii_case(id))
    }

    /// Returns the instance that reported itself as the writer; `None` while there is none, as
    /// during a failover.
    pub fn writer(&self) -> Option<&Instance> {
        self.writer.map(|at| &self.instances[at])
    }

    /// Returns all instances but the writer.
    pub fn readers(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().enumerate().filter(|(at, _)| Some(*at) != self.writer).map(|(_, reader)| reader)
    }

    /// Returns the number of writers so far: it grows by one with every change, and is 0 before the
    /// first.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns when the current writer was first verified.
    pub fn epoch_began(&self) -> Option<Instant> {
        self.epoch_began
    }

    /// Returns when the snapshot was taken.
    pub fn at(&self) -> Instant {
        self.at
    }
}

impl Instance {
    fn of(member: &Member) -> Self {
        Self {
            id: Arc::clone(&member.id),
            host: Arc::clone(&member.host),
            port: member.port,
            role: member.role(),
            lag: member.lag,
            cpu: member.cpu,
            seen: member.last_report.map(|word| word.answered),
            is_answering: member.is_answering(),
        }
    }

    /// Returns the id, the first label of the instance's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the host name, built from the pattern and the id.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the role that the instance reported; `None` if it was not queried or no longer
    /// answers.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Returns how far the instance lags behind the writer, as last reported by the cluster.
    pub fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Returns the CPU load in percent, as last reported by the cluster.
    pub fn cpu(&self) -> Option<f32> {
        self.cpu
    }

    /// Returns when the instance last answered.
    pub fn seen(&self) -> Option<Instant> {
        self.seen
    }

    /// Returns whether nothing has failed since the instance's last answer, or it was not tried
    /// yet.
    pub fn is_answering(&self) -> bool {
        self.is_answering
    }
}
