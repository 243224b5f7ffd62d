//! Spaces out what fails, whatever pools stand in front of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use wrapper_core::{Error, ErrorKind, Result};

/// Lets one attempt at a time through after a failure, ever slower; a success lets everybody go.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    error: Option<Error>,
    failures: u32,
    last: Option<Instant>,
    next: Option<Instant>,
}

impl Pace {
    /// Waits for a turn and returns its time.
    ///
    /// Turns are taken, not reserved, so that a caller that gives up leaves no gap.
    ///
    /// # Errors
    ///
    /// The last failure, if no turn comes before the deadline.
    pub(crate) async fn admit(&self, deadline: Instant) -> Result<Instant> {
        loop {
            // Made before the state is read, so that a success in between is not missed.
            let freed = self.freed.notified();
            let now = Instant::now();
            let turn = {
                let mut state = self.lock();
                match state.next {
                    None => return Ok(now),
                    Some(next) if next <= now => {
                        state.next = Some(now + delay(state.failures));
                        return Ok(now);
                    }
                    Some(next) if next > deadline || now >= deadline => {
                        return Err(state.error.clone().unwrap_or_else(no_turn));
                    }
                    Some(next) => next,
                }
            };
            drop(timeout_at(turn, freed).await);
        }
    }

    /// Notes the failure of an attempt that had a turn; those of attempts that ran side by side
    /// count as one.
    pub(crate) fn failed(&self, turn: Instant, error: &Error) {
        let mut state = self.lock();
        state.error = Some(error.clone());
        if state.last.is_none_or(|last| last < turn) {
            let now = Instant::now();
            state.failures += 1;
            state.last = Some(now);
            state.next = Some(now + delay(state.failures));
        }
    }

    /// Notes that an attempt is likely to fail, unless some have failed already.
    pub(crate) fn suspect(&self, error: &Error) {
        if self.lock().next.is_none() {
            self.failed(Instant::now(), error);
        }
    }

    pub(crate) fn succeeded(&self) {
        *self.lock() = State::default();
        self.freed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: no panic can leave them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 100 ms, doubled up to 1.6 s: what is waited for here is added to a failover.
fn delay(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.saturating_sub(1).min(4))
}

fn no_turn() -> Error {
    Error::new(ErrorKind::Transient, "others have failed just now, and the time was over before the next try")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn wrong() -> Error {
        Error::new(ErrorKind::WrongInstance, "read-only")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    /// Counts the attempts that a number of tasks make within five seconds if each fails at once.
    async fn attempts(pace: &Arc<Pace>, tasks: usize) -> usize {
        let until = Instant::now() + Duration::from_secs(5);
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let pace = Arc::clone(pace);
            running.spawn(async move {
                let mut made = 0;
                while let Ok(turn) = pace.admit(until).await {
                    made += 1;
                    pace.failed(turn, &wrong());
                }
                made
            });
        }
        running.join_all().await.into_iter().sum()
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_fail_share_a_slow_pace() {
        let pace = Arc::new(Pace::default());

        assert_eq!(
            attempts(&pace, 50).await,
            1 + 6,
            "the first ends before the others begin; then 0.1 s to 1.6 s"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_side_by_side_count_once() {
        let pace = Pace::default();
        let turns = [pace.admit(soon()).await.expect("free"), pace.admit(soon()).await.expect("free")];
        let begun = Instant::now();

        turns.iter().for_each(|turn| pace.failed(*turn, &wrong()));

        pace.admit(soon()).await.expect("in time");
        assert_eq!(begun.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn success_lets_everybody_go() {
        let pace = Arc::new(Pace::default());
        pace.suspect(&wrong());
        let waiting = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.admit(soon()).await }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();

        pace.succeeded();

        waiting.await.expect("runs").expect("is let through");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn caller_without_a_turn_gets_the_last_failure() {
        let pace = Pace::default();
        pace.suspect(&wrong());

        let error = pace.admit(Instant::now() + Duration::from_millis(50)).await.expect_err("too late");

        assert_eq!(error.kind(), ErrorKind::WrongInstance);
    }
}
