//! What follows from what was found out: events, connections that end, and the pace.

use std::sync::atomic::Ordering;

use tokio::time::Instant;
use wrapper_core::{
    Error, ErrorKind, Event, Events,
    events::{ConnectionCut, WriterChanged},
};

use super::{State, Topology};
use crate::{knowledge::Effect, stats::Counters};

impl Topology {
    /// Changes what is known, applies the consequences and wakes the waiters.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> (T, Vec<Effect>)) -> T {
        let mut state = self.state();
        let before = state.writer();
        let (outcome, effects) = change(&mut state);
        let after = state.writer();
        if let (Some(doubted), Some(verified)) = (state.doubted, state.monitor.knowledge.verified_at())
            && doubted < verified
        {
            state.doubted = None;
        }
        let listeners = if effects.is_empty() { Vec::new() } else { state.listeners.clone() };
        drop(state);
        effects.into_iter().for_each(|effect| self.apply(effect, &listeners));
        if before != after {
            // First the pace: a waiter that hears of the change may connect at once.
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
                if from.is_some() {
                    self.0.pace.changed();
                }
                let from = from.map(|from| from.to_string());
                emit(listeners, &Event::WriterChanged(WriterChanged::new(from, &*to, epoch)));
            }
            Effect::Cut { id, before, is_all } => {
                let reason = match is_all {
                    true => format!("instance `{id}` cannot be reached any more, and another is the writer"),
                    false => format!("instance `{id}` is not the writer any more"),
                };
                let reason = Error::new(ErrorKind::WrongInstance, reason);
                self.cut(&id, (before, is_all), &reason, listeners);
            }
            Effect::SecondClaim { writer, claimant } => {
                Counters::count(&self.0.counters.second_claims);
                tracing::warn!(
                    writer = &*writer,
                    claimant = &*claimant,
                    "a second instance claims to be the writer; the former one stays for as long as it \
                     answers"
                );
            }
            Effect::Stranger { id, why } => {
                Counters::count(&self.0.counters.strangers);
                tracing::warn!(instance = id.escape_debug().to_string(), why, "an answer does not count");
            }
        }
    }

    /// Ends the connections to an instance that were open before: those of writers, or all.
    pub(super) fn cut(
        &self,
        id: &str,
        (before, is_all): (Instant, bool),
        reason: &Error,
        listeners: &[Events],
    ) {
        let connections = self.0.handed_out.cut(id, before, is_all, reason);
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
