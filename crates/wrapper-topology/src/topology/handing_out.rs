//! The connections that a topology handed out.

use std::sync::Arc;

use tokio::time::Instant;
use wrapper_core::{Established, Event, Role, events::Paced};

use super::Topology;
use crate::{knowledge::Effect, stats::Counters};

impl Topology {
    /// Notes an application's login that failed, and says so if the next ones have to wait.
    pub(crate) fn slowed(&self, turn: Instant) {
        let Some(pause) = self.0.pace.failed(turn) else { return };
        Counters::count(&self.0.counters.paced);
        let listeners = self.state().listeners.clone();
        listeners.iter().for_each(|events| events.emit(&Event::Paced(Paced::new(pause))));
    }

    /// Keeps a way to end a connection that is handed out.
    pub(crate) fn hand_out(&self, instance: &Arc<str>, established: &Established) {
        self.0.handed_out.add(instance, established);
        Counters::count(&self.0.counters.connects);
        // The writer may have changed while this was on its way.
        let is_late = established.role() == Some(Role::Writer)
            && self.with_knowledge(|known| known.changed_at().is_some_and(|at| established.at() < at));
        if is_late && self.with_knowledge(|known| known.writer().is_some_and(|writer| !writer.is(instance))) {
            self.apply(Effect::Cut { id: Arc::clone(instance), before: Instant::now(), is_all: false }, &[]);
        }
    }

    /// Notes where a single instance was logged in to: another address than before is another
    /// server.
    pub(crate) fn logged_in_at(&self, host: &Arc<str>, established: &Established) {
        let Some(address) = established.address().map(|address| address.ip()) else { return };
        let mut state = self.state();
        let former = state.addresses.get(host).copied();
        match former {
            // Both families may lead to one server.
            Some((known, _)) if known == address || known.is_ipv4() != address.is_ipv4() => {}
            _ => drop(state.addresses.insert(Arc::clone(host), (address, established.at()))),
        }
        drop(state);
        self.0.handed_out.add(host, established);
        if former.is_some_and(|(known, _)| known != address && known.is_ipv4() == address.is_ipv4()) {
            tracing::info!(host = &**host, %address, "the instance has moved to another address");
            let (id, before) = (Arc::clone(host), established.at());
            self.apply(Effect::Cut { id, before, is_all: true }, &[]);
        }
    }

    /// Returns whether a connection was opened before its cluster's writer, or its instance's
    /// address, changed.
    pub(crate) fn is_outdated(&self, established: &Established) -> bool {
        let state = self.state();
        if let Some((_, since)) = state.addresses.get(established.host()) {
            return established.at() < *since;
        }
        if established.role() != Some(Role::Writer) {
            return false;
        }
        let knowledge = &state.monitor.knowledge;
        let is_writers = knowledge
            .writer()
            .is_some_and(|writer| established.instance().is_some_and(|instance| writer.is(instance)));
        knowledge.changed_at().is_some_and(|at| established.at() < at) && !is_writers
    }

    /// Returns whether pooled connections have to be asked for their role, because somebody
    /// suspects something.
    pub(crate) fn is_doubted(&self) -> bool {
        self.state().doubted.is_some()
    }
}
