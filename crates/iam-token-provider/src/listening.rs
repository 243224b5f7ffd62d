//! Telling of credentials that were loaded.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::SystemTime,
};

/// Describes credentials that a source gave, without a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedCredentials {
    /// The end of the access key id, enough to tell which one it is.
    pub access_key: String,
    /// Whether they have another key than those before, or are the first.
    pub is_new_key: bool,
    /// The name of the source.
    pub source: String,
    /// When they end, where they do.
    pub expires_at: Option<SystemTime>,
}

type Listener = dyn Fn(&LoadedCredentials) + Send + Sync;

/// Keeps a listener listening until it is dropped; made by [`IamTokenProvider::on_load`](crate::IamTokenProvider::on_load).
#[must_use = "dropped, it ends the listening"]
pub struct Listening(#[expect(dead_code, reason = "held, not read")] Arc<Listener>);

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}

/// Who listens, held weakly: a provider outlives the connectors that share it.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Weak<Listener>>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Arc<Listener>) -> Listening {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        Listening(listener)
    }

    pub(crate) fn tell(&self, loaded: &LoadedCredentials) {
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            // One that panics must not make a load fail that all wait for.
            drop(catch_unwind(AssertUnwindSafe(|| listener(loaded))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn listener_hears_until_it_is_dropped_whoever_panics_beside() {
        let (listeners, heard) = (Listeners::default(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&heard);
        let _panics = listeners.add(Arc::new(|_| panic!("a listener of a test panics")));
        let listening = listeners.add(Arc::new(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
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
}
