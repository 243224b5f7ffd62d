//! The consequences of evidence: events, cut connections, and the pace.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, atomic::Ordering},
};

use tokio::time::Instant;
use wrapper_core::{
    Error, ErrorKind, Event, Events,
    events::{ConnectionCut, WriterChanged},
};

use super::{State, Topology};
use crate::{foreign::guarded, knowledge::Effect, stats::Counters};

/// What follows from one change of the state.
pub(super) struct Consequences {
    effects: Vec<Effect>,
    /// Whether the writer answers, if that or the writer has changed.
    writer_answers: Option<bool>,
}

impl Topology {
    /// Changes the state, applies the consequences and wakes the waiters.
    ///
    /// While another thread applies those of earlier changes, it applies these too.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> (T, Vec<Effect>)) -> T {
        let mut state = self.state();
        let before = state.writer();
        // Both sides are read under one lock, so no other change hides between them.
        let (outcome, effects) = change(&mut state);
        let after = state.writer();
        let verified = state.monitor.knowledge.verified_as_of();
        state.doubted.take_if(|doubted| verified.is_some_and(|asked| *doubted <= asked));
        let writer_answers = (before != after).then(|| after.is_some_and(|(_, answers)| answers));
        if !effects.is_empty() || writer_answers.is_some() {
            enqueue(&mut state.consequences, Consequences { effects, writer_answers });
        }
        self.apply_pending(state);
        outcome
    }

    /// Applies the consequences in the order of their changes: if each thread applied its own,
    /// listeners and pools could see the older change last.
    fn apply_pending<'t>(&'t self, mut state: MutexGuard<'t, State>) {
        // Whoever applies takes along what other threads, or the listeners that it runs, add.
        if state.is_applying {
            return;
        }
        while let Some(consequences) = state.consequences.pop_front() {
            state.is_applying = true;
            let listeners = state.listeners();
            // Listeners and wakers are foreign code and may call back into the topology.
            drop(state);
            self.apply_all(consequences, &listeners);
            // Before the lock is taken again: the last handle of a listener drops its values, which
            // are foreign too.
            guarded(|| drop(listeners));
            state = self.state();
        }
        // Under the lock that has found nothing left, so that no later change is left to this
        // thread.
        state.is_applying = false;
    }

    fn apply_all(&self, Consequences { effects, writer_answers }: Consequences, listeners: &[Arc<Events>]) {
        for effect in effects {
            guarded(|| self.apply(effect, listeners));
        }
        let Some(writer_answers) = writer_answers else { return };
        // The pace first: a woken waiter may connect at once.
        guarded(|| match writer_answers {
            true => self.0.pace.succeeded(),
            false => self.0.pace.lost(),
        });
        guarded(|| self.0.version.send_modify(|version| *version += 1));
        guarded(|| self.0.reports.send_replace(()));
        // The monitor looks for a writer that a connect has found missing, instead of at its next
        // poll.
        guarded(|| self.wake());
    }

    /// Calls the listeners for a connect, which nothing of theirs may end.
    pub(crate) fn tell(&self, tell: impl FnOnce(&[Arc<Events>])) {
        guarded(|| {
            // Dropped within the guard too: the last handle of a listener drops foreign values.
            let listeners = self.listeners();
            tell(&listeners);
        });
    }

    pub(super) fn apply(&self, effect: Effect, listeners: &[Arc<Events>]) {
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
        listeners: &[Arc<Events>],
    ) {
        let connections = self.0.open_connections.cut(id, before, is_all, reason);
        if connections > 0 {
            self.0.counters.cut.fetch_add(connections as u64, Ordering::Relaxed);
            tracing::debug!(instance = id, connections, "connections cut");
            emit(listeners, &Event::ConnectionCut(ConnectionCut::new(id, connections)));
        }
    }
}

/// How many changes may wait for a listener before later ones are reported together with the last.
const MOST_WAITING: usize = 32;

/// How many effects may wait with one change, beside those that must not be lost.
const MOST_EFFECTS: usize = 64;

/// Appends what follows from one change, unless a cut that waits already can take it in: a listener
/// that does not return must not make the queue grow with every answer.
fn enqueue(queue: &mut VecDeque<Consequences>, next: Consequences) {
    if let Consequences { effects, writer_answers: None } = &next
        && let [Effect::Cut { id, before, is_all }] = &effects[..]
    {
        // Not beyond a change of the writer, which is reported before the cuts that follow it.
        for waiting in queue.iter_mut().rev().take_while(|waiting| waiting.writer_answers.is_none()) {
            if let [Effect::Cut { id: cut, before: until, is_all: all }] = &mut waiting.effects[..]
                && (&*cut, &*all) == (id, is_all)
            {
                *until = (*until).max(*before);
                return;
            }
        }
    }
    let is_full = queue.len() >= MOST_WAITING;
    match queue.back_mut().filter(|_| is_full) {
        Some(last) => last.merge(next),
        None => queue.push_back(next),
    }
}

impl Consequences {
    /// Adds a later change: what listeners then hear is where the cluster has come to.
    fn merge(&mut self, later: Self) {
        self.writer_answers = later.writer_answers.or(self.writer_answers);
        for effect in later.effects {
            self.add(effect);
        }
    }

    fn add(&mut self, later: Effect) {
        for effect in &mut self.effects {
            match (effect, &later) {
                (
                    Effect::WriterChanged { to, epoch, .. },
                    Effect::WriterChanged { to: next, epoch: at, .. },
                ) => {
                    (*to, *epoch) = (Arc::clone(next), *at);
                    return;
                }
                (Effect::Cut { id, before, is_all }, Effect::Cut { id: cut, before: until, is_all: all })
                    if (&*id, &*is_all) == (cut, all) =>
                {
                    *before = (*before).max(*until);
                    return;
                }
                (effect, later) if effect == later => return,
                _ => {}
            }
        }
        match later {
            // Before the cuts that follow from it.
            Effect::WriterChanged { .. } => self.effects.insert(0, later),
            Effect::Cut { .. } => self.effects.push(later),
            // Only warnings, whose ids may be any that a server makes up.
            _ if self.effects.len() < MOST_EFFECTS => self.effects.push(later),
            _ => {}
        }
    }
}

fn emit(listeners: &[Arc<Events>], event: &Event) {
    listeners.iter().for_each(|events| events.emit(event));
}

#[cfg(test)]
mod tests;
