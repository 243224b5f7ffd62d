//! The time of the machine.

use std::time::SystemTime;

use crate::clock::{BoxFuture, Clock};

/// Tells the machine's wall time and waits with the timer of tokio.
///
/// Waiting panics outside a tokio runtime with time enabled, which [`Renewing`](crate::Renewing)
/// reports as [`FetchError::NoTimer`](crate::FetchError::NoTimer). It waits only for fetches that
/// do not answer at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()> {
        let left = deadline.duration_since(self.now()).unwrap_or_default();
        Box::pin(tokio::time::sleep(left))
    }
}
