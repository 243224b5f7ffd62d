//! The server's clock: a source of time with an offset set by the test.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

pub(crate) struct Clock {
    source: Box<dyn Fn() -> SystemTime + Send + Sync>,
    moved: Mutex<Moved>,
    /// Incremented by each move, for waiting tasks.
    moves: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Moved {
    ahead: Duration,
    back: Duration,
}

impl Clock {
    pub(crate) fn new(source: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source), moved: Mutex::default(), moves: watch::Sender::new(0) }
    }

    pub(crate) fn now(&self) -> SystemTime {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        (self.source)() + moved.ahead - moved.back
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).ahead += by;
        self.moves.send_modify(|moves| *moves += 1);
    }

    pub(crate) fn rewind(&self, by: Duration) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).back += by;
        self.moves.send_modify(|moves| *moves += 1);
    }
}

#[cfg(feature = "iam-token-provider")]
impl Clock {
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("moved", &self.moved).finish_non_exhaustive()
    }
}

/// Returns the machine's wall clock.
#[expect(clippy::disallowed_methods, reason = "the default of the one place that takes a clock")]
pub(crate) fn system() -> SystemTime {
    SystemTime::now()
}

/// Writes a time as `YYYY-MM-DD hh:mm:ss.ffffff` in UTC.
pub(crate) fn text(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    // Howard Hinnant's `civil_from_days`: years begin in March, eras have 146,097 days.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}", since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_a_date() {
        let at = |seconds| text(SystemTime::UNIX_EPOCH + Duration::new(seconds, 120_000_000));
        assert_eq!(at(0), "1970-01-01 00:00:00.120000");
        assert_eq!(at(951_868_799), "2000-02-29 23:59:59.120000");
        assert_eq!(at(1_736_944_496), "2025-01-15 12:34:56.120000");
    }
}
