//! Decides when a refused secret justifies another call of the service.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The first step; each load of the same secret doubles it.
pub(crate) const FIRST_STEP: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 3;
/// After this long without a refusal the next one starts with the first step again.
const RESET_AFTER: Duration = Duration::from_secs(60);

/// The back-off of loads while a server refuses the secret, shared by all refused logins.
///
/// The first refusal loads at once. A load that fails, or returns the same secret, starts a step of
/// 1 s, doubled up to 8 s, without further loads: the window of a rotation in which only the
/// database has the new password.
#[derive(Debug, Default)]
pub(crate) struct Steps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unchanged: u32,
    last: Option<SystemTime>,
    /// Counts the notes and resets, so that the waiters of one load note it once.
    notes: u64,
}

impl Steps {
    /// Returns whether a load is due.
    pub(crate) fn may_load(&self, now: SystemTime) -> bool {
        self.next(now).is_none_or(|next| next <= now)
    }

    /// Returns when the current step ends; `None` outside of one.
    pub(crate) fn next(&self, now: SystemTime) -> Option<SystemTime> {
        self.lock().next(now)
    }

    /// Records a load that failed or returned the same secret, within that load.
    pub(crate) fn note_unchanged(&self, now: SystemTime) {
        self.lock().note(now);
    }

    /// Returns the number of notes so far, for [`note_failed`](Self::note_failed).
    pub(crate) fn notes(&self) -> u64 {
        self.lock().notes
    }

    /// Records a failed load for one of its waiters, which read [`notes`](Self::notes) before it
    /// waited: the load itself, or another waiter, may have recorded it already.
    pub(crate) fn note_failed(&self, notes: u64, now: SystemTime) {
        // One lock for the check and the note: waiters on other threads are woken with this one.
        let mut state = self.lock();
        // A waiter that joined between the load's note and its end has read a newer count, and
        // finds the step begun.
        if state.notes == notes && state.next(now).is_none_or(|next| next <= now) {
            state.note(now);
        }
    }

    /// Records a load that returned another secret.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        *state = State { notes: state.notes + 1, ..State::default() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two plain values: no panic can leave them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let last = self.last?;
        // If the clock was set back, the step ends: it would last as long as the jump otherwise.
        let since = now.duration_since(last).ok()?;
        // 1, 2, 4, then 8 s: the exponent is bounded, so the shift cannot overflow.
        let step = FIRST_STEP * (1 << self.unchanged.saturating_sub(1).min(MOST_DOUBLINGS));
        (since < RESET_AFTER).then_some(last + step)
    }

    fn note(&mut self, now: SystemTime) {
        let unchanged = if self.next(now).is_none() { 1 } else { self.unchanged.saturating_add(1) };
        *self = Self { unchanged, last: Some(now), notes: self.notes + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_of_one_failed_load_begin_one_step() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let steps = Steps::default();
        let (joined_before, late) = (steps.notes(), Duration::from_secs(3));

        // However late the others run, and whatever the clock did meanwhile.
        for now in [start, start, start + late, start + late * 3, start - late] {
            steps.note_failed(joined_before, now);
        }
        assert_eq!(steps.next(start), Some(start + FIRST_STEP));

        // One that joined after the load had been recorded, and before it had ended.
        steps.note_failed(steps.notes(), start);
        assert_eq!(steps.next(start), Some(start + FIRST_STEP));

        // A load that another has recorded as changed is no failure of the secret that it brought.
        let joined_before = steps.notes();
        steps.reset();
        steps.note_failed(joined_before, start);
        assert_eq!(steps.next(start), None);

        // The next failed load counts.
        steps.note_failed(steps.notes(), start);
        steps.note_failed(steps.notes(), start + FIRST_STEP);
        assert_eq!(steps.next(start + FIRST_STEP), Some(start + FIRST_STEP * 3));
    }

    #[test]
    fn steps_double_to_eight_seconds_and_are_reset() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let steps = Steps::default();
        assert!(steps.may_load(start), "the first refusal asks at once");
        let mut now = start;
        for seconds in [1, 2, 4, 8, 8] {
            steps.note_unchanged(now);
            let next = now + Duration::from_secs(seconds);
            assert_eq!(steps.next(now), Some(next));
            assert!(!steps.may_load(next - Duration::from_millis(1)) && steps.may_load(next));
            now = next;
        }
        assert!(steps.may_load(now - Duration::from_secs(3600)), "a clock that was set back ends a step");

        let later = now + RESET_AFTER;
        steps.note_unchanged(later);
        assert_eq!(steps.next(later), Some(later + FIRST_STEP));

        steps.reset();
        assert!(steps.may_load(later));
    }
}
