//! Room for open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A session has a socket on each side.
const PER_SESSION: u64 = 2;
/// Handshakes, up to eight times 64 of two sockets, and cancels, listeners, health checks,
/// credentials.
const OTHERS: u64 = 1024 + 256;

/// Raises the limit of open files as far as so many sessions need and the system allows.
pub(super) fn raise(sessions: usize) {
    let needed = u64::try_from(sessions).unwrap_or(u64::MAX).saturating_mul(PER_SESSION) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|soft| *soft < needed) else { return };
    let raised = limit.maximum.map_or(needed, |hard| hard.min(needed)).max(soft);
    // What is refused is as if the system had allowed no more.
    let raised = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    if raised < needed {
        tracing::warn!(open_files = raised, sessions, "too few files may be open for so many sessions");
    }
}
