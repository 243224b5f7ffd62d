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
}

impl Steps {
    /// Returns whether a load is due.
    pub(crate) fn may_load(&self, now: SystemTime) -> bool {
        self.next(now).is_none_or(|next| next <= now)
    }

    /// Returns when the current step ends; `None` outside of one.
    pub(crate) fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let state = self.lock();
        let last = state.last?;
        // If the clock was set back, the step ends: it would last as long as the jump otherwise.
        let since = now.duration_since(last).ok()?;
        // 1, 2, 4, then 8 s: the exponent is bounded, so the shift cannot overflow.
        let step = FIRST_STEP * (1 << state.unchanged.saturating_sub(1).min(MOST_DOUBLINGS));
        (since < RESET_AFTER).then_some(last + step)
    }

    /// Records a load that failed or returned the same secret.
    pub(crate) fn note_unchanged(&self, now: SystemTime) {
        let is_reset = self.next(now).is_none();
        let mut state = self.lock();
        state.unchanged = if is_reset { 1 } else { state.unchanged.saturating_add(1) };
        state.last = Some(now);
    }

    /// Records a load that returned another secret.
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two plain values: no panic can leave them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
