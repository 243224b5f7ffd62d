//! Arithmetic on wall time that cannot overflow: everything is compared as a duration.

use std::time::{Duration, SystemTime};

/// Returns the time from `earlier` to `later`, zero if they are the other way round.
pub(crate) fn span(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

/// Returns the time between two moments, whichever comes first.
pub(crate) fn distance(one: SystemTime, other: SystemTime) -> Duration {
    span(one, other).max(span(other, one))
}
