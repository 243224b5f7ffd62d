//! The server's clock: a source of time and how far a test moved it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

pub(crate) struct Clock {
    source: Box<dyn Fn() -> SystemTime + Send + Sync>,
    moved: Mutex<Moved>,
}

#[derive(Debug, Default)]
struct Moved {
    ahead: Duration,
    back: Duration,
}

impl Clock {
    pub(crate) fn new(source: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source), moved: Mutex::default() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        (self.source)() + moved.ahead - moved.back
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).ahead += by;
    }

    pub(crate) fn rewind(&self, by: Duration) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).back += by;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("moved", &self.moved).finish_non_exhaustive()
    }
}

/// The machine's wall clock.
#[expect(clippy::disallowed_methods, reason = "the default of the one place that takes a clock")]
pub(crate) fn system() -> SystemTime {
    SystemTime::now()
}
