//! The log of clients whose login fails.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wrapper_core::{ConnectRequest, Error};

/// The pause between two warnings of a target that keeps failing.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Logs the failed logins of one target: each at DEBUG, and one a minute at WARN with their count,
/// so that a pool that retries does not flood the log.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Option<Counted>>);

struct Counted {
    warned_at: Instant,
    since: u64,
}

impl Failures {
    /// Logs one failure with every cause; the client's own message has no room for all of them.
    pub(crate) fn report(&self, request: &ConnectRequest, error: &Error) {
        let (host, port, user) = (request.host(), request.port(), request.user());
        let text = format!("{error:#}").replace("\n  ", "; ");
        tracing::debug!(host, port, user, error = %text, "client login failed");
        if let Some(failed) = self.note(Instant::now()) {
            tracing::warn!(host, port, user, failed, error = %text, "client login failed");
        }
    }

    /// Counts a failure; if a warning is due, returns how many failures it stands for.
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
    fn first_failure_causes_a_warning_and_then_one_a_minute_with_a_count() {
        let (failures, start) = (Failures::default(), Instant::now());
        let note = |after| failures.note(start + Duration::from_secs(after));

        assert_eq!(note(0), Some(1));
        assert_eq!((note(1), note(59)), (None, None));
        assert_eq!(note(60), Some(3));
        assert_eq!(note(61), None);
        assert_eq!(note(600), Some(2));
    }
}
