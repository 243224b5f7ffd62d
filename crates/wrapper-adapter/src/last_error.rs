//! The reason why a pool has no connection, for pools that do not report it.

use std::{
    error::Error as StdError,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use wrapper_core::{ConnectRequest, Error, ErrorKind, Result};

/// Remembers why the pools of a connector have no connection; clones share their state.
///
/// bb8 returns "Timed out in bb8" to every waiter, and deadpool wraps the reason in two errors. The
/// managers of both record here the outcome of the last attempt, and the running attempts.
///
/// ```
/// # use wrapper_adapter::LastError;
/// # #[derive(Debug)] struct TimedOut;
/// # impl std::fmt::Display for TimedOut {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
/// #         f.write_str("Timed out in bb8")
/// #     }
/// # }
/// # impl std::error::Error for TimedOut {}
/// # fn get() -> Result<(), TimedOut> { Err(TimedOut) }
/// # let last_error = LastError::default();
/// let connection = get().map_err(|error| last_error.explain(error));
/// # assert!(connection.is_err());
/// ```
#[derive(Clone, Default)]
pub struct LastError(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    failure: Option<Error>,
    running: Vec<Running>,
    next_id: u64,
}

struct Running {
    id: u64,
    since: Instant,
    /// `None`: a connection that is taken out of the pool is being checked.
    request: Option<ConnectRequest>,
}

impl Running {
    fn so_far(&self) -> Error {
        let age = self.since.elapsed();
        match &self.request {
            Some(request) => request.timed_out(age),
            None => unanswered(age),
        }
    }
}

impl LastError {
    /// Returns the error of the last attempt, unless one has succeeded since, with the phase of a
    /// running one; else the phase of the oldest running attempt. An attempt that a pool or a
    /// caller dropped at its own time limit counts as failed.
    ///
    /// `None` if nothing failed or runs: if a pool times out nevertheless, all of its connections
    /// are in use.
    pub fn get(&self) -> Option<Error> {
        let state = self.lock();
        // The oldest: it has waited longest, so it shows best where attempts hang.
        let Some(running) = state.running.iter().min_by_key(|running| running.since) else {
            return state.failure.clone();
        };
        let now = running.so_far();
        match &state.failure {
            Some(failure) => {
                // The message alone: the likeliest cause is appended to the new one.
                let message = format!("{}; another attempt runs: {now}", failure.message());
                Some(failure.clone().with_message(message))
            }
            None => Some(now),
        }
    }

    /// Replaces the error of a pool by its reason: our error if the pool's wraps one, else the
    /// [last](Self::get).
    pub fn explain(&self, error: impl StdError + Send + Sync + 'static) -> Error {
        if let Some(ours) = Error::find(&error) {
            return ours.clone();
        }
        match self.get() {
            Some(last) => {
                let message = format!("{error}: {}", last.message());
                last.with_message(message)
            }
            None => Error::new(
                ErrorKind::Timeout,
                "the pool gave no connection, though no attempt failed: are all of them in use?",
            )
            .with_source(error),
        }
    }

    /// Records the outcome of an attempt; a success clears earlier failures.
    pub fn note<T>(&self, outcome: &Result<T>) {
        self.set(outcome.as_ref().err().cloned());
    }

    /// Records a failure.
    pub fn note_error(&self, error: &Error) {
        self.set(Some(error.clone()));
    }

    fn set(&self, failure: Option<Error>) {
        // Dropped outside of the lock: its source may be an application's, with a `Drop` that asks
        // for the last error.
        let _former = mem::replace(&mut self.lock().failure, failure);
    }

    /// Records a running attempt until it [ends](Attempt::end); if it is dropped before, that is
    /// recorded as its failure.
    pub(crate) fn begin(&self, request: Option<ConnectRequest>) -> Attempt<'_> {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.running.push(Running { id, since: Instant::now(), request });
        Attempt { last_error: self, id, has_ended: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole values are put in and taken out: no panic can leave them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastError").field(&self.get()).finish()
    }
}

/// Receives the errors that bb8 would discard:
/// `bb8::Pool::builder().error_sink(Box::new(connector.last_error()))`.
#[cfg(feature = "bb8")]
impl bb8::ErrorSink<Error> for LastError {
    fn sink(&self, error: Error) {
        self.note_error(&error);
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Error>> {
        Box::new(self.clone())
    }
}

/// An attempt that runs.
pub(crate) struct Attempt<'a> {
    last_error: &'a LastError,
    id: u64,
    has_ended: bool,
}

impl Attempt<'_> {
    /// Marks the attempt as completed; its outcome is [recorded](LastError::note) separately.
    pub(crate) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut state = self.last_error.lock();
        // By id, because `swap_remove` changes the order.
        let Some(index) = state.running.iter().position(|running| running.id == self.id) else { return };
        let running = state.running.swap_remove(index);
        // A pool with a shorter time limit drops the attempt first, and asks for the reason then.
        let _former = match self.has_ended {
            true => None,
            false => state.failure.replace(running.so_far()),
        };
        // Before the former failure, and what the request holds, is dropped.
        drop(state);
    }
}

/// Returns the error of a pooled connection that does not answer.
pub(crate) fn unanswered(after: std::time::Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the pooled connection did not answer within {after:.1?}"))
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;
    use wrapper_core::{Cause, adapter::Phase};

    fn refused() -> Error {
        Error::new(ErrorKind::Login, "`h:1` refused")
    }

    #[tokio::test(start_paused = true)]
    async fn running_attempt_is_reported_with_its_phase() {
        let last_error = LastError::default();
        let request = ConnectRequest::new("h", 1, "jane");
        let attempt = last_error.begin(Some(request.clone()));
        request.progress().enter(Phase::Login);
        tokio::time::advance(Duration::from_secs(4)).await;

        let error = last_error.get().expect("something runs");

        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), "no connection to `h:1` within 4.0s, still logging in");
        attempt.end();
        assert!(last_error.get().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_that_is_given_up_is_the_last_failure() {
        let last_error = LastError::default();
        let timed_out = || io::Error::other("Timed out in bb8");
        let attempt = last_error.begin(None);
        tokio::time::advance(Duration::from_secs(4)).await;
        drop(attempt);
        tokio::time::advance(Duration::from_secs(60)).await;

        let error = last_error.explain(timed_out());

        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), "Timed out in bb8: the pooled connection did not answer within 4.0s");
        last_error.note(&Ok(()));
        assert!(last_error.get().is_none(), "a success clears it");
    }

    #[tokio::test(start_paused = true)]
    async fn likeliest_cause_is_shown_once() {
        let last_error = LastError::default();
        last_error.note_error(&refused().with_diagnosis([Cause::new("policy", "no policy", "allow it")]));
        let _attempt = last_error.begin(None);

        let error = last_error.explain(io::Error::other("Timed out in bb8"));

        assert_eq!(
            error.to_string(),
            "Timed out in bb8: `h:1` refused; another attempt runs: the pooled connection did not answer \
             within 0.0ns; check first: no policy: allow it"
        );
        assert_eq!(error.diagnosis().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn failure_is_shown_before_the_running_attempt() {
        let last_error = LastError::default();
        last_error.note_error(&refused());
        let _check = last_error.begin(None);
        tokio::time::advance(Duration::from_secs(2)).await;

        let error = last_error.get().expect("failed");

        assert_eq!(error.kind(), ErrorKind::Login);
        assert_eq!(
            error.to_string(),
            "`h:1` refused; another attempt runs: the pooled connection did not answer within 2.0s"
        );
    }

    #[test]
    fn success_clears_a_failure() {
        let last_error = LastError::default();
        last_error.note::<()>(&Err(refused()));
        assert!(last_error.get().is_some());

        last_error.note(&Ok(()));

        assert!(last_error.get().is_none());
    }

    #[test]
    fn error_of_a_pool_is_explained() {
        let last_error = LastError::default();
        let timed_out = || io::Error::other("Timed out in bb8");
        assert!(last_error.explain(timed_out()).to_string().contains("are all of them in use?"));

        last_error.note_error(&refused());

        let explained = last_error.explain(timed_out());
        assert_eq!(explained.kind(), ErrorKind::Login);
        assert_eq!(explained.to_string(), "Timed out in bb8: `h:1` refused");
        let ours = Error::new(ErrorKind::Tls, "of the pool's own error");
        assert_eq!(last_error.explain(io::Error::other(ours)).kind(), ErrorKind::Tls);
    }

    /// An error of an application that asks for the last one when it is dropped.
    #[derive(Debug)]
    struct AsksOnDrop(LastError);

    impl fmt::Display for AsksOnDrop {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("asks")
        }
    }

    impl StdError for AsksOnDrop {}

    impl Drop for AsksOnDrop {
        fn drop(&mut self) {
            self.0.get();
        }
    }

    #[test]
    fn failure_that_asks_for_the_last_one_when_it_is_dropped_holds_nobody() {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let last_error = LastError::default();
            let fail = || last_error.note_error(&refused().with_source(AsksOnDrop(last_error.clone())));
            fail();
            last_error.note(&Ok(()));
            fail();
            last_error.note_error(&refused());
            fail();
            drop(last_error.begin(None));
            done.send(last_error.get().map(|error| error.kind()))
        });

        assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(Some(ErrorKind::Timeout)));
    }
}
