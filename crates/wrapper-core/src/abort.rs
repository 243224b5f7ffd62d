//! Ending a connection from elsewhere, through the stream that it runs over.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    task::{Context, Waker},
};

use crate::Error;

/// Ends a connection from elsewhere: the end that a plugin holds.
///
/// It keeps nothing alive. With an adapter that does not own its driver's stream it does nothing.
#[derive(Clone, Debug, Default)]
pub struct AbortHandle(Weak<State>);

impl AbortHandle {
    /// Ends the connection, idle or in use, with this error as the reason.
    ///
    /// Returns whether this call ended it: `false` if it is closed, was ended before, or was never
    /// registered.
    pub fn abort(&self, reason: Error) -> bool {
        let Some(state) = self.0.upgrade() else { return false };
        // The reason first: a task that registers after the waker was taken finds it by its own
        // check.
        let is_first = state.reason.set(reason).is_ok();
        let waker = state.waker().take();
        // Outside of the lock: a waker may run anything.
        waker.into_iter().for_each(Waker::wake);
        is_first
    }

    /// Returns whether a connection is at the other end.
    pub fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// The other end of an [`AbortHandle`], which an adapter puts into the stream of the connection.
///
/// The stream calls [`check`](Self::check) first in `poll_read`, `poll_write` and `poll_flush` (the
/// last one because a driver stops reading while its caller does not fetch an answer), and
/// [`register`](Self::register) where a read has to wait.
#[derive(Clone, Debug, Default)]
pub struct AbortRegistration(Arc<State>);

impl AbortRegistration {
    /// Returns a handle that ends the stream which holds this registration.
    pub fn handle(&self) -> AbortHandle {
        AbortHandle(Arc::downgrade(&self.0))
    }

    /// Fails once the connection was ended.
    ///
    /// # Errors
    ///
    /// The reason, packed into an [`io::Error`]; [`Error::find`] gets it back.
    pub fn check(&self) -> io::Result<()> {
        self.0.reason.get().map_or(Ok(()), |reason| Err(io::Error::other(reason.clone())))
    }

    /// Notes the task to wake when the connection is ended.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check): an abort just before the registration had no task to wake.
    pub fn register(&self, context: &Context<'_>) -> io::Result<()> {
        let is_noted = self.0.waker().as_ref().is_some_and(|noted| noted.will_wake(context.waker()));
        if !is_noted {
            // Cloned and dropped outside of the lock: a waker may run anything.
            let waker = context.waker().clone();
            let _former = self.0.waker().replace(waker);
        }
        // Noted before the check, the reverse of `abort`: one of the two sees the other.
        self.check()
    }
}

#[derive(Debug, Default)]
struct State {
    reason: OnceLock<Error>,
    waker: Mutex<Option<Waker>>,
}

impl State {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        // One waker: no panic can leave it half written.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;
    use crate::ErrorKind;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn reason() -> Error {
        Error::new(ErrorKind::Transient, "demoted")
    }

    #[test]
    fn abort_wakes_the_reader_and_fails_it_with_the_reason() {
        let (registration, counter) = (AbortRegistration::default(), Arc::new(Counter::default()));
        let (handle, waker) = (registration.handle(), Waker::from(Arc::clone(&counter)));
        registration.register(&Context::from_waker(&waker)).expect("not aborted");

        assert!(handle.abort(reason()));

        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
        let error = registration.check().expect_err("aborted");
        assert_eq!(Error::find(&error).expect("kept").to_string(), "demoted");
        assert!(registration.register(&Context::from_waker(&waker)).is_err());
        assert!(!handle.abort(reason()), "it was ended before");
    }

    /// Ends the connection when it is dropped, as the task of a driver may.
    struct AbortsOnDrop(AbortHandle);

    impl Wake for AbortsOnDrop {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for AbortsOnDrop {
        fn drop(&mut self) {
            self.0.abort(reason());
        }
    }

    #[test]
    fn waker_that_aborts_when_it_is_dropped_holds_nobody() {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let registration = AbortRegistration::default();
            let waker = Waker::from(Arc::new(AbortsOnDrop(registration.handle())));
            registration.register(&Context::from_waker(&waker)).expect("not aborted");
            drop(waker);
            let next = registration.register(&Context::from_waker(Waker::noop()));
            done.send(next.is_err())
        });

        let is_aborted = ended.recv_timeout(std::time::Duration::from_secs(30));
        assert_eq!(is_aborted, Ok(true), "the former waker has ended it");
    }

    #[test]
    fn handle_keeps_nothing_alive() {
        let registration = AbortRegistration::default();
        let handle = registration.handle();
        assert!(handle.is_held());

        drop(registration);

        assert!(!handle.is_held() && !handle.abort(reason()));
        assert!(!AbortHandle::default().is_held());
    }
}
