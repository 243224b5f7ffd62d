//! The connections that a topology has handed out.

use std::{collections::hash_map::Entry, sync::Arc};

use tokio::time::Instant;
use wrapper_core::{Error, ErrorKind, Established, Event, Role, events::Paced};

use super::{
    Topology,
    host_addresses::{AddressChange, HostAddresses},
};
use crate::{gate::Turn, knowledge::Effect, stats::Counters};

impl Topology {
    /// Records an application's failed login, and emits an event if the next ones have to wait.
    pub(crate) fn slowed(&self, turn: &Turn) {
        let Some(pause) = self.0.pace.failed(turn) else { return };
        Counters::count(&self.0.counters.paced);
        let event = Event::Paced(Paced::new(pause));
        self.tell(|listeners| listeners.iter().for_each(|events| events.emit(&event)));
    }

    /// Registers a connection that is handed out, so that it can be cut.
    pub(crate) fn hand_out(&self, instance: &Arc<str>, established: &Established) {
        // Registered before the check below: a cut in between finds it here, an earlier one is seen
        // there.
        self.0.open_connections.add(instance, established);
        Counters::count(&self.0.counters.connects);
        // The writer may have changed, or reported that it is a reader, while this connect was
        // under way.
        let is_late = established.role() == Some(Role::Writer)
            && self.with_knowledge(|known| {
                let is_other = known.writer().is_some_and(|writer| !writer.is(instance));
                let report = known.member(instance).and_then(|member| member.last_report);
                (is_other && known.changed_at().is_some_and(|at| established.at() < at))
                    || report
                        .is_some_and(|word| word.role == Some(Role::Reader) && established.at() < word.asked)
            });
        if is_late {
            let cut = Effect::Cut { id: Arc::clone(instance), before: Instant::now(), is_all: false };
            self.tell(|listeners| self.apply(cut, listeners));
        }
    }

    /// Records the address of a login at a host without a topology: another address is another
    /// server.
    pub(crate) fn logged_in_at(&self, host: &Arc<str>, established: &Established) {
        let Some(address) = established.address().map(|address| address.ip()) else { return };
        // Registered before the addresses are compared: a concurrent login at another address can
        // then cut this connection.
        self.0.open_connections.add(host, established);
        let moved = match self.state().host_addresses.entry(Arc::clone(host)) {
            Entry::Occupied(mut known) => known.get_mut().record_login(established),
            Entry::Vacant(unknown) => {
                HostAddresses::of(established).map(|place| unknown.insert(place));
                AddressChange::Unchanged
            }
        };
        let before = match moved {
            AddressChange::Unchanged => return,
            AddressChange::Moved(before) => {
                tracing::info!(host = &**host, %address, "the host has moved to another address");
                before
            }
            AddressChange::Superseded(before) => before,
        };
        self.end_former(host, before);
    }

    /// Ends the connections to a host's former addresses.
    fn end_former(&self, host: &Arc<str>, before: Instant) {
        let reason = format!("`{host}` has moved to another address");
        let reason = Error::new(ErrorKind::WrongInstance, reason);
        self.tell(|listeners| self.cut(host, (before, true), &reason, listeners));
    }

    /// Returns whether a connection was opened before its cluster's writer, or its instance's
    /// address, changed.
    pub(crate) fn is_outdated(&self, established: &Established) -> bool {
        let state = self.state();
        // Hosts without a topology know no roles; there only the address tells two servers apart.
        if let Some(place) = state.host_addresses.get(established.host()) {
            return place.is_outdated(established);
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

    /// Records that a connection accepted writes when queried at `asked`: earlier suspicions were
    /// unfounded.
    pub(crate) fn took_writes(&self, asked: Instant) {
        self.state().doubted.take_if(|doubted| *doubted <= asked);
    }

    /// Returns whether pooled connections must be queried for their role because of a suspicion.
    pub(crate) fn is_doubted(&self) -> bool {
        self.state().doubted.is_some()
    }
}

#[cfg(test)]
mod tests;
