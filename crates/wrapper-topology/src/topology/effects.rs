//! The consequences of evidence: events, cut connections, and the pace.

use std::sync::atomic::Ordering;

use tokio::time::Instant;
use wrapper_core::{
    Error, ErrorKind, Event, Events,
    events::{ConnectionCut, WriterChanged},
};

use super::{State, Topology};
use crate::{knowledge::Effect, stats::Counters};

impl Topology {
    /// Changes the state, applies the consequences and wakes the waiters.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> (T, Vec<Effect>)) -> T {
        let mut state = self.state();
        let before = state.writer();
        // Both sides are read under one lock, so no other change hides between them.
        let (outcome, effects) = change(&mut state);
        let after = state.writer();
        if let (Some(doubted), Some(verified)) = (state.doubted, state.monitor.knowledge.verified_at())
            && doubted < verified
        {
            state.doubted = None;
        }
        let listeners = if effects.is_empty() { Vec::new() } else { state.listeners.clone() };
        // Effects run listeners, which are foreign code and may call back into the topology.
        drop(state);
        effects.into_iter().for_each(|effect| self.apply(effect, &listeners));
        if before != after {
            // The pace first: a woken waiter may connect at once.
            match after.is_some_and(|(_, is_answering)| is_answering) {
                true => self.0.pace.succeeded(),
                false => self.0.pace.lost(),
            }
            self.0.version.send_modify(|version| *version += 1);
        }
        outcome
    }

    pub(super) fn apply(&self, effect: Effect, listeners: &[Events]) {
        match effect {
            Effect::WriterChanged { from, to, epoch } => {
                tracing::info!(from = from.as_deref(), to = &*to, epoch, "the cluster has a new writer");
                // The first writer ever found is no failover, so nothing has to be spaced out.
                if from.is_some() {
                    self.0.pace.changed();
                }
                let from = from.map(|from| from.to_string());
                emit(listeners, &Event::WriterChanged(WriterChanged::new(from, &*to, epoch)));
            }
            Effect::Cut { id, before, is_all } => {
                let reason = match is_all {
                    true => format!("instance `{id}` is unreachable, and another instance is the writer"),
                    false => format!("instance `{id}` is no longer the writer"),
                };
                let reason = Error::new(ErrorKind::WrongInstance, reason);
                self.cut(&id, (before, is_all), &reason, listeners);
            }
            Effect::RivalWriter { writer, claimant } => {
                Counters::count(&self.0.counters.rival_writers);
                tracing::warn!(
                    writer = &*writer,
                    claimant = &*claimant,
                    "a second instance claims to be the writer; the known writer is kept while it answers"
                );
            }
            Effect::Rejected { id, why } => {
                Counters::count(&self.0.counters.rejected_answers);
                tracing::warn!(instance = id.escape_debug().to_string(), why, "answer rejected");
            }
        }
    }

    /// Ends the connections to an instance opened before this time: those opened as the writer's,
    /// or all.
    pub(super) fn cut(
        &self,
        id: &str,
        (before, is_all): (Instant, bool),
        reason: &Error,
        listeners: &[Events],
    ) {
        let connections = self.0.open_connections.cut(id, before, is_all, reason);
        if connections > 0 {
            self.0.counters.cut.fetch_add(connections as u64, Ordering::Relaxed);
            tracing::debug!(instance = id, connections, "connections cut");
            emit(listeners, &Event::ConnectionCut(ConnectionCut::new(id, connections)));
        }
    }
}

fn emit(listeners: &[Events], event: &Event) {
    listeners.iter().for_each(|events| events.emit(event));
}
