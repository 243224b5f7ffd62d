//! Listeners for loaded credentials and failed loads.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use crate::{Error, refusals::distance};

/// How often a source that keeps failing is reported.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Describes loaded credentials, without a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedCredentials {
    /// The last characters of the access key id, enough to identify it.
    pub access_key: String,
    /// Whether the key differs from the previous one, or is the first.
    pub is_new_key: bool,
    /// The name of the source.
    pub source: String,
    /// When they expire, if they do.
    pub expires_at: Option<SystemTime>,
}

/// Describes failed loads, reported at once and then once a minute.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedCredentials {
    /// The error of the last load.
    pub error: Error,
    /// The number of failed calls since the last report, including this one.
    pub failures: u64,
    /// The name of the source.
    pub source: String,
}

type Listener<T> = dyn Fn(&T) + Send + Sync;

/// Keeps a listener registered until it is dropped; returned by
/// [`IamTokenProvider::on_load`](crate::IamTokenProvider::on_load) and
/// [`on_failure`](crate::IamTokenProvider::on_failure).
#[must_use = "dropped, it ends the listening"]
pub struct Listening(#[expect(dead_code, reason = "held, not read")] Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}

/// The listeners, held weakly because a provider outlives the connectors that share it.
pub(crate) struct Listeners<T>(Mutex<Vec<Weak<Listener<T>>>>);

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: 'static> Listeners<T> {
    pub(crate) fn add(&self, listener: impl Fn(&T) + Send + Sync + 'static) -> Listening {
        let listener = Arc::new(listener);
        // The same allocation as a trait object: `Listening` keeps `listener`, the list a weak
        // handle.
        let heard: Arc<Listener<T>> = listener.clone();
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&heard));
        Listening(listener)
    }

    pub(crate) fn tell(&self, what: &T) {
        // Copied out of the lock: a listener may register another one.
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            // A panicking listener must not fail a load that others wait for. The value of its
            // panic is forgotten, because it may panic again when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| listener(what))).map_err(mem::forget);
        }
    }
}

/// Counts failed calls.
#[derive(Default)]
pub(crate) struct Failures(Mutex<State>);

#[derive(Default)]
struct State {
    since: u64,
    told_at: Option<SystemTime>,
}

impl Failures {
    /// Counts a failure. Returns the number since the last report, including this one, if a report
    /// is due.
    pub(crate) fn note(&self, now: SystemTime) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.since += 1;
        // An absolute difference: a clock set back must not silence the reports.
        let is_past = |at| distance(at, now) >= TELL_EVERY;
        if !state.told_at.is_none_or(is_past) {
            return None;
        }
        state.told_at = Some(now);
        Some(mem::take(&mut state.since))
    }

    /// Resets the count after a success.
    pub(crate) fn reset(&self) {
        // The next failure is reported at once again.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn listener_hears_until_it_is_dropped_though_another_panics() {
        let (listeners, heard) = (Listeners::default(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&heard);
        let _panics = listeners.add(|_| panic!("a listener of a test panics"));
        let listening = listeners.add(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let loaded = LoadedCredentials {
            access_key: "…ABCD".to_owned(),
            is_new_key: true,
            source: "a test".to_owned(),
            expires_at: None,
        };

        listeners.tell(&loaded);
        drop(listening);
        listeners.tell(&loaded);

        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("the value of a panic panics");
        }
    }

    #[test]
    fn listener_whose_panic_panics_when_dropped_affects_no_other() {
        let (listeners, heard) = (Listeners::default(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&heard);
        let _panics = listeners.add(|()| std::panic::panic_any(PanicsOnDrop));
        let _hears = listeners.add(move |()| {
            counter.fetch_add(1, Ordering::SeqCst);
        });

        listeners.tell(&());

        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }
}
