//! Access keys, and a source that provides one.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};

use crate::sources::Variables;

/// An access key, on the client side and on the verifier side.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
}

impl Key {
    /// Returns the environment variables that pass the key to a program.
    pub(crate) fn variables(&self) -> Variables {
        let mut variables =
            vec![("AWS_ACCESS_KEY_ID", self.id.clone()), ("AWS_SECRET_ACCESS_KEY", self.secret.clone())];
        variables.extend(self.session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token)));
        variables
    }
}

/// Provides one key, and counts the calls.
#[derive(Clone)]
pub(crate) struct Source(Arc<State>);

struct State {
    given: Mutex<Given>,
    calls: AtomicUsize,
}

/// The answer of a source.
#[derive(Clone)]
struct Given {
    key: Key,
    expiry: Option<SystemTime>,
    is_down: bool,
}

impl Source {
    /// Returns a source of one key.
    pub(crate) fn new(key: Key) -> Self {
        let given = Mutex::new(Given { key, expiry: None, is_down: false });
        Self(Arc::new(State { given, calls: AtomicUsize::new(0) }))
    }

    /// Provides another key from now on.
    pub(crate) fn set(&self, key: Key) {
        self.given().key = key;
    }

    /// Sets the expiry of the key, as for keys of a session.
    pub(crate) fn expire(&self, at: SystemTime) {
        self.given().expiry = Some(at);
    }

    /// Fails from now on, or no longer.
    pub(crate) fn fail(&self, is_down: bool) {
        self.given().is_down = is_down;
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let Given { key, expiry, is_down } = self.given().clone();
        future::ProvideCredentials::ready(match is_down {
            true => Err(CredentialsError::provider_error("the source is down")),
            false => Ok(Credentials::new(key.id, key.secret, key.session_token, expiry, "integration")),
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("calls", &self.calls()).finish()
    }
}
