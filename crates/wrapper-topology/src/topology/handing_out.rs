//! The connections that a topology handed out.

use std::{collections::hash_map::Entry, sync::Arc};

use tokio::time::Instant;
use wrapper_core::{Error, ErrorKind, Established, Event, Role, events::Paced};

use super::{
    Topology,
    place::{Moved, Place},
};
use crate::{gate::Turn, knowledge::Effect, stats::Counters};

impl Topology {
    /// Notes an application's login that failed, and says so if the next ones have to wait.
    pub(crate) fn slowed(&self, turn: &Turn) {
        let Some(pause) = self.0.pace.failed(turn) else { return };
        Counters::count(&self.0.counters.paced);
        self.listeners().iter().for_each(|events| events.emit(&Event::Paced(Paced::new(pause))));
    }

    /// Keeps a way to end a connection that is handed out.
    pub(crate) fn hand_out(&self, instance: &Arc<str>, established: &Established) {
        self.0.handed_out.add(instance, established);
        Counters::count(&self.0.counters.connects);
        // The writer may have changed, or said that it is a reader, while this was on its way.
        let is_late = established.role() == Some(Role::Writer)
            && self.with_knowledge(|known| {
                let is_other = known.writer().is_some_and(|writer| !writer.is(instance));
                let said = known.member(instance).and_then(|member| member.said);
                (is_other && known.changed_at().is_some_and(|at| established.at() < at))
                    || said
                        .is_some_and(|word| word.role == Some(Role::Reader) && established.at() < word.asked)
            });
        if is_late {
            let cut = Effect::Cut { id: Arc::clone(instance), before: Instant::now(), is_all: false };
            self.apply(cut, &self.listeners());
        }
    }

    /// Notes where a host without a topology was logged in to: another address than before is
    /// another server.
    pub(crate) fn logged_in_at(&self, host: &Arc<str>, established: &Established) {
        let Some(address) = established.address().map(|address| address.ip()) else { return };
        // Before the place is looked at: a login elsewhere that is told meanwhile ends this one.
        self.0.handed_out.add(host, established);
        let moved = match self.state().places.entry(Arc::clone(host)) {
            Entry::Occupied(mut known) => known.get_mut().logged_in(established),
            Entry::Vacant(unknown) => {
                Place::of(established).map(|place| unknown.insert(place));
                Moved::No
            }
        };
        let before = match moved {
            Moved::No => return,
            Moved::Here(before) => {
                tracing::info!(host = &**host, %address, "the host has moved to another address");
                before
            }
            Moved::Away(before) => before,
        };
        self.end_former(host, before);
    }

    /// Ends the connections to where a host was before.
    fn end_former(&self, host: &Arc<str>, before: Instant) {
        let reason = format!("`{host}` leads to another address now");
        let reason = Error::new(ErrorKind::WrongInstance, reason);
        self.cut(host, (before, true), &reason, &self.listeners());
    }

    /// Returns whether a connection was opened before its cluster's writer, or its instance's
    /// address, changed.
    pub(crate) fn is_outdated(&self, established: &Established) -> bool {
        let state = self.state();
        if let Some(place) = state.places.get(established.host()) {
            return place.is_left_by(established);
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

    /// Notes that a connection to a writer took writes after it was asked: what was suspected
    /// before came to nothing.
    pub(crate) fn took_writes(&self, asked: Instant) {
        self.state().doubted.take_if(|doubted| *doubted <= asked);
    }

    /// Returns whether pooled connections have to be asked for their role, because somebody
    /// suspects something.
    pub(crate) fn is_doubted(&self) -> bool {
        self.state().doubted.is_some()
    }
}

#[cfg(test)]
mod tests;
