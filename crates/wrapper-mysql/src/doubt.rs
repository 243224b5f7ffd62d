//! Whether what takes long to open is a MySQL server at all.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use wrapper_adapter::stranger;
use wrapper_core::{ConnectRequest, Engine, Error};

/// How long a server may take without a doubt.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often a server that may be one is asked: it counts who goes without a login.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Probes a server that takes long to answer.
///
/// The driver takes the first bytes of any service for the length of a packet, and waits for the
/// rest of it.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// When a server that may be one was asked; held while one is asked, for the answer counts for
    /// all who wait.
    asked_at: Mutex<Option<Instant>>,
}

impl Doubt {
    /// Says what is there if it is not a MySQL server, some time into a connect; `None`: it may be
    /// one, or was asked lately.
    pub(crate) async fn stranger(&self, request: &ConnectRequest) -> Option<Error> {
        let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // With little time in all, the answer has to come within it.
        sleep(left.map_or(TIMEOUT, |left| (left / 4).min(TIMEOUT))).await;
        let mut asked_at = self.asked_at.lock().await;
        if !is_due(*asked_at, Instant::now()) {
            return None;
        }
        let stranger = stranger(Engine::Mysql, request).await;
        if stranger.is_none() {
            *asked_at = Some(Instant::now());
        }
        stranger
    }
}

fn is_due(asked_at: Option<Instant>, now: Instant) -> bool {
    asked_at.is_none_or(|at| now.duration_since(at) >= ASK_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_may_be_one_is_asked_once_a_minute() {
        let start = Instant::now();
        let asks = |after| is_due(Some(start), start + Duration::from_secs(after));

        assert!(is_due(None, start) && !asks(0) && !asks(59) && asks(60));
    }
}
