//! Telling the log of clients whose login fails.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wrapper_core::{ConnectRequest, Error};

/// How often a target that keeps failing is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The failures of one target: the first is warned of, and then one a minute with their count. Each
/// is told at DEBUG.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Option<Counted>>);

struct Counted {
    warned_at: Instant,
    since: u64,
}

impl Failures {
    /// Tells of one failure with all that is known of it, which has no room in what clients read.
    pub(crate) fn report(&self, request: &ConnectRequest, error: &Error) {
        let (host, port, user) = (request.host(), request.port(), request.user());
        let text = format!("{error:#}").replace("\n  ", "; ");
        tracing::debug!(host, port, user, error = %text, "the login of a client failed");
        if let Some(failed) = self.note(Instant::now()) {
            tracing::warn!(host, port, user, failed, error = %text, "a client could not be logged in");
        }
    }

    /// Counts a failure; how many there were since the last warning, this one included, if another
    /// is due.
    fn note(&self, now: Instant) -> Option<u64> {
        // A plain counter: no panic leaves it half written.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *counted {
            Some(counted) => {
                counted.since += 1;
                if now.duration_since(counted.warned_at) < WARN_EVERY {
                    return None;
                }
                counted.warned_at = now;
                Some(std::mem::take(&mut counted.since))
            }
            None => {
                *counted = Some(Counted { warned_at: now, since: 0 });
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_failure_is_warned_of_and_then_one_a_minute_with_a_count() {
        let (failures, start) = (Failures::default(), Instant::now());
        let note = |after| failures.note(start + Duration::from_secs(after));

        assert_eq!(note(0), Some(1));
        assert_eq!((note(1), note(59)), (None, None));
        assert_eq!(note(60), Some(3));
        assert_eq!(note(61), None);
        assert_eq!(note(600), Some(2));
    }
}
