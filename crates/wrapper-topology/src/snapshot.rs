//! What is known of a cluster at one moment.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wrapper_core::Role;

use crate::knowledge::{Knowledge, Member};

/// Describes a cluster as it was known at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    instances: Arc<[Instance]>,
    writer: Option<usize>,
    epoch: u64,
    epoch_began: Option<Instant>,
    at: Instant,
}

/// Describes one instance of a cluster.
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

    /// Returns the instance of an id, ignoring case.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id.eq_ignore_ascii_case(id))
    }

    /// Returns the instance that said itself that it is the writer; `None` while there is none, as
    /// in a failover.
    pub fn writer(&self) -> Option<&Instance> {
        self.writer.map(|at| &self.instances[at])
    }

    /// Returns all instances but the writer.
    pub fn readers(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().enumerate().filter(|(at, _)| Some(*at) != self.writer).map(|(_, reader)| reader)
    }

    /// Returns how many writers there were so far: it grows by one with every change, and is 0
    /// before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns when the present writer was first known as such.
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
            seen: member.said.map(|word| word.answered),
            is_answering: member.is_answering(),
        }
    }

    /// Returns the id, the first label of the instance's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the host name, made of the pattern and the id.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the role that the instance gave itself; `None` if it was not asked, or does not
    /// answer any more.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Returns how far the instance lags behind the writer, as the cluster last told it.
    pub fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Returns the load of the processors in percent, as the cluster last told it.
    pub fn cpu(&self) -> Option<f32> {
        self.cpu
    }

    /// Returns when the instance itself answered last.
    pub fn seen(&self) -> Option<Instant> {
        self.seen
    }

    /// Returns whether nothing failed since the instance answered last, or it was not tried yet.
    pub fn is_answering(&self) -> bool {
        self.is_answering
    }
}
