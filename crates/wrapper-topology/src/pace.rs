//! Spaces out logins: those of one topology after a failure, those at one host behind a gate.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::gate::{self, Host, Turn};

/// Admits one attempt at a time after a failure, with growing pauses, and a few per second at a
/// host after a change of the writer.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    last: Option<Instant>,
    next: Option<Instant>,
    /// When the writer last changed: every host gets a gate at its next login.
    changed: Option<Instant>,
}

impl Pace {
    /// Waits for a turn, and returns it with the picked target; `None` if the deadline passes
    /// first.
    ///
    /// Turns are taken, not reserved, so that a caller that gives up leaves no gap. The target is
    /// picked anew at each try because the writer may change meanwhile.
    pub(crate) async fn admit<T>(
        &self,
        deadline: Instant,
        mut pick: impl FnMut() -> (T, Host),
    ) -> Option<(Turn, T)> {
        loop {
            // Registered before the state is read, so that a success in between is not missed.
            let freed = self.freed.notified();
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            let (picked, host) = pick();
            match self.turn(now, &host) {
                Ok(()) => return Some((Turn { at: now, host }, picked)),
                Err(at) if at < deadline => drop(timeout_at(at, freed).await),
                Err(_) => return None,
            }
        }
    }

    /// Takes a turn, or returns when to try again.
    fn turn(&self, now: Instant, host: &Host) -> Result<(), Instant> {
        // Lock order: the state of a pace, then the gates. A gate takes no other lock.
        let mut state = self.lock();
        if let Some(next) = state.next.filter(|next| *next > now) {
            return Err(next);
        }
        // The gate comes last: a login that has to wait for the pace must not use up the gate's
        // share.
        gate::pass(host, state.changed, now)?;
        // The next turn is due after a pause even if this caller never reports how its attempt
        // ended.
        if state.next.is_some() {
            state.next = Some(now + delay(state.failures));
        }
        Ok(())
    }

    /// Records the failure of an attempt that had a turn; failures of concurrent attempts count as
    /// one.
    ///
    /// Returns the pause before the next attempt if this failure changed it.
    pub(crate) fn failed(&self, turn: &Turn) -> Option<Duration> {
        gate::failed(turn);
        let mut state = self.lock();
        // This attempt began before the last failure, so it ran into the same outage.
        if state.last.is_some_and(|last| last >= turn.at) {
            return None;
        }
        let now = Instant::now();
        state.failures += 1;
        state.last = Some(now);
        let pause = delay(state.failures);
        state.next = Some(now + pause);
        Some(pause)
    }

    /// Ends the pauses; gates stay in force.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        *state = State { changed: state.changed, ..State::default() };
        // Released first: the woken callers take this lock at once.
        drop(state);
        self.freed.notify_waiters();
    }

    /// Starts gates at all hosts because the writer has changed.
    pub(crate) fn changed(&self) {
        self.lock().changed = Some(Instant::now());
        // A connect that waits at a gate may now pick another host.
        self.freed.notify_waiters();
    }

    /// Records that the writer is lost, which counts as a failure of all attempts under way:
    /// otherwise all of them would search for the new writer at the same time.
    pub(crate) fn lost(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        // Waiters are not woken: this can only lengthen their pause.
        state.last = Some(now);
        if state.next.is_none() {
            state.failures = 1;
            state.next = Some(now + delay(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: no panic can leave them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 100 ms, doubled up to 1.6 s: this pause adds to the duration of a failover.
fn delay(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.saturating_sub(1).min(4))
}

#[cfg(test)]
mod tests;
