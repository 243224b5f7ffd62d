//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A session has a socket on each side.
const PER_SESSION: u64 = 2;
/// Unfinished logins, up to 8 * 64 with two sockets each, and 256 for cancels, listeners, health
/// checks and credentials.
const OTHERS: u64 = 1024 + 256;

/// Raises the soft limit of open files to the need of so many sessions, within the hard limit.
pub(super) fn raise(sessions: usize) {
    let needed = u64::try_from(sessions).unwrap_or(u64::MAX).saturating_mul(PER_SESSION) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|soft| *soft < needed) else { return };
    let raised = limit.maximum.map_or(needed, |hard| hard.min(needed)).max(soft);
    // A refusal leaves the limit as it was; the warning below tells of it.
    let raised = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    if raised < needed {
        tracing::warn!(
            open_files = raised,
            sessions,
            "the limit of open files is too low for so many sessions"
        );
    }
}
