//! When a refused secret is worth another call of the service.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The first step, doubled by each load that brings the same secret.
pub(crate) const FIRST_STEP: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 3;
/// Without a refusal for this long the next rotation begins with the first step again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The steps in which a secret is asked for while a server refuses it, shared by all who are
/// refused.
///
/// The first refusal asks at once. A load that brings the same secret, or fails, begins a step of 1
/// s, doubled up to 8 s, and within it nobody asks again: that is the window in which the database
/// has the new password and the secret has not.
#[derive(Debug, Default)]
pub(crate) struct Steps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fruitless: u32,
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
        // A clock that was set back ends the step, which would else last for as long as the jump.
        let since = now.duration_since(last).ok()?;
        let step = FIRST_STEP * (1 << state.fruitless.saturating_sub(1).min(MOST_DOUBLINGS));
        (since < FORGOTTEN_AFTER).then_some(last + step)
    }

    /// Notes a load that brought nothing new.
    pub(crate) fn fruitless(&self, now: SystemTime) {
        let is_forgotten = self.next(now).is_none();
        let mut state = self.lock();
        state.fruitless = if is_forgotten { 1 } else { state.fruitless.saturating_add(1) };
        state.last = Some(now);
    }

    /// Notes a load that brought another secret.
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_to_eight_seconds_and_are_forgotten() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let steps = Steps::default();
        assert!(steps.may_load(start), "the first refusal asks at once");
        let mut now = start;
        for seconds in [1, 2, 4, 8, 8] {
            steps.fruitless(now);
            let next = now + Duration::from_secs(seconds);
            assert_eq!(steps.next(now), Some(next));
            assert!(!steps.may_load(next - Duration::from_millis(1)) && steps.may_load(next));
            now = next;
        }
        assert!(steps.may_load(now - Duration::from_secs(3600)), "a clock that was set back ends a step");

        let later = now + FORGOTTEN_AFTER;
        steps.fruitless(later);
        assert_eq!(steps.next(later), Some(later + FIRST_STEP));

        steps.reset();
        assert!(steps.may_load(later));
    }
}
