//! A way back to a topology that does not keep it.

use std::sync::{Arc, Weak};

use super::{Shared, Topology};

/// Leads back to a topology from what the topology itself holds, such as the start of its task.
pub(crate) struct WeakTopology(Weak<Shared>);

impl Topology {
    pub(crate) fn downgrade(&self) -> WeakTopology {
        WeakTopology(Arc::downgrade(&self.0))
    }
}

impl WeakTopology {
    pub(crate) fn upgrade(&self) -> Option<Topology> {
        self.0.upgrade().map(Topology)
    }
}
