//! Detection of other services among servers that are slow to answer.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use wrapper_adapter::other_service;
use wrapper_core::{ConnectRequest, Engine, Error};

/// How long a server may take before it is probed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The least time between two probes of a MySQL server: it counts clients that disconnect before
/// their login.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Probes a server that is slow to answer.
///
/// The driver reads the first bytes of any service as the length of a packet and waits for the rest
/// of it.
#[derive(Debug, Default)]
pub(crate) struct SlowServer {
    /// When a server that may be MySQL was probed; locked during a probe, whose result serves all
    /// waiters.
    probed_at: Mutex<Option<Instant>>,
}

impl SlowServer {
    /// Waits until a connect is slow, then returns an error if another service answers; `None` if
    /// it may be MySQL, or was probed recently.
    pub(crate) async fn other_service(&self, request: &ConnectRequest) -> Option<Error> {
        let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // The probe has to end within the deadline.
        sleep(left.map_or(TIMEOUT, |left| (left / 4).min(TIMEOUT))).await;
        let mut probed_at = self.probed_at.lock().await;
        if !is_due(*probed_at, Instant::now()) {
            return None;
        }
        let found = other_service(Engine::Mysql, request).await;
        if found.is_none() {
            *probed_at = Some(Instant::now());
        }
        found
    }
}

fn is_due(probed_at: Option<Instant>, now: Instant) -> bool {
    probed_at.is_none_or(|at| now.duration_since(at) >= ASK_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_server_is_probed_once_a_minute() {
        let start = Instant::now();
        let asks = |after| is_due(Some(start), start + Duration::from_secs(after));

        assert!(is_due(None, start) && !asks(0) && !asks(59) && asks(60));
    }
}
