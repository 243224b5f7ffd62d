//! When a refused login is repeated.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime},
};

// RDS limits IAM logins by the second, so a crowd has to spread over more than one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Returns the time of the next attempt, at random within the longest pause, if the timeout allows
/// it.
pub(crate) fn next_at(started_at: SystemTime, now: SystemTime, timeout: Duration) -> Option<SystemTime> {
    // A clock set back ends the attempts, which would otherwise continue as long as the jump.
    let passed = now.duration_since(started_at).ok()?;
    // Each `RandomState` has another key, so the upper half of its hash is a random number.
    let draw = (RandomState::new().hash_one(now) >> 32) as u32;
    let share = f64::from(draw) / f64::from(u32::MAX);
    let pause = SHORTEST_PAUSE + (LONGEST_PAUSE - SHORTEST_PAUSE).mul_f64(share);
    (passed + pause <= timeout).then_some(now + pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_drawn_within_their_bounds_and_the_timeout() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let timeout = Duration::from_secs(20);
        for _ in 0..1_000 {
            let pause = next_at(now, now, timeout).expect("within the timeout").duration_since(now);
            assert!((SHORTEST_PAUSE..=LONGEST_PAUSE).contains(&pause.expect("later")));
        }
        assert_eq!(next_at(now, now, Duration::ZERO), None);
        assert_eq!(next_at(now, now + timeout, timeout), None);
        assert_eq!(next_at(now, now - Duration::from_secs(1), timeout), None);
    }
}
