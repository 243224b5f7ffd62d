//! Access keys, and a source that gives one to the product.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, future},
};

/// An access key, on the product's side and on the verifier's.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) session_token: Option<String>,
}

/// Gives one key and counts how often it was asked.
#[derive(Clone)]
pub(crate) struct Source(Arc<(Mutex<Key>, AtomicUsize)>);

impl Source {
    /// A source of one key.
    pub(crate) fn new(key: Key) -> Self {
        Self(Arc::new((Mutex::new(key), AtomicUsize::new(0))))
    }

    /// Gives another key from now on.
    pub(crate) fn set(&self, key: Key) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        let key = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let credentials = Credentials::new(key.id, key.secret, key.session_token, None, "integration");
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("calls", &self.calls()).finish()
    }
}
