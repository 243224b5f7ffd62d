//! Events for a program's histograms and alarms.

use std::{
    fmt, mem,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{Error, adapter::Phase};

/// An event of a connector or its plugins; none contains a secret.
///
/// More variants will be added: match with a wildcard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// One connect to one host ended.
    ConnectFinished(ConnectFinished),
    /// Connections to one instance were ended.
    ConnectionCut(ConnectionCut),
    /// A source of credentials failed; emitted at once and then once a minute.
    CredentialsFailed(CredentialsFailed),
    /// Credentials were loaded.
    CredentialsLoaded(CredentialsLoaded),
    /// Connects are slowed down.
    Paced(Paced),
    /// A secret with user and password was loaded.
    SecretLoaded(SecretLoaded),
    /// A cluster has another writer.
    WriterChanged(WriterChanged),
}

/// Describes one connect to one host, plugins included.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectFinished {
    /// The host that was asked for.
    pub host: Arc<str>,
    /// The port that was asked for.
    pub port: u16,
    /// The database user.
    pub user: Arc<str>,
    /// The codes of the plugins, separated by commas.
    pub plugins: Arc<str>,
    /// The address that was dialled last, where one was.
    pub address: Option<SocketAddr>,
    /// The phase in which it ended.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
}

/// Tells how a connect ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The caller dropped it, as a pool does when its own time limit is over.
    Abandoned,
    /// With a connection.
    Connected,
    /// With this error, which the caller gets too.
    Failed(Error),
}

/// Describes failed calls for credentials.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialsFailed {
    /// The error of the last call.
    pub error: Error,
    /// The number of failed calls since the last such event, this one included.
    pub failures: u64,
    /// The name of the source.
    pub provider: String,
}

impl CredentialsFailed {
    /// Describes so many calls by the error of the last one and the name of the source.
    pub fn new(error: Error, failures: u64, provider: impl Into<String>) -> Self {
        Self { error, failures, provider: provider.into() }
    }
}

/// Describes credentials that a source gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialsLoaded {
    /// The end of the access key id, enough to tell which one it is.
    pub access_key: String,
    /// Whether it is another key than before.
    pub is_new_key: bool,
    /// The name of the source.
    pub provider: String,
    /// When they end, where they do.
    pub expires_at: Option<SystemTime>,
}

impl CredentialsLoaded {
    /// Describes credentials by the end of their access key id and the name of their source.
    pub fn new(access_key: impl Into<String>, provider: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), is_new_key: false, provider: provider.into(), expires_at: None }
    }
}

/// Describes a secret that was loaded, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretLoaded {
    /// The name or ARN of the secret.
    pub secret: String,
    /// The id of its version.
    pub version: String,
    /// The database user in it.
    pub user: String,
    /// Whether it has another user or password than before, as after a rotation.
    pub is_changed: bool,
}

impl SecretLoaded {
    /// Describes a version of a secret for a user, the first that was loaded.
    pub fn new(secret: impl Into<String>, version: impl Into<String>, user: impl Into<String>) -> Self {
        Self { secret: secret.into(), version: version.into(), user: user.into(), is_changed: false }
    }
}

/// Describes a cluster's new writer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterChanged {
    /// The id of the former writer; `None` for the first.
    pub from: Option<String>,
    /// The id of the writer.
    pub to: String,
    /// How many writers there were so far.
    pub epoch: u64,
}

impl WriterChanged {
    /// Describes a change to this writer.
    pub fn new(from: Option<String>, to: impl Into<String>, epoch: u64) -> Self {
        Self { from, to: to.into(), epoch }
    }
}

/// Describes connections that were ended because their instance changed its role or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCut {
    /// The id of the instance.
    pub instance: String,
    /// How many there were.
    pub connections: usize,
}

impl ConnectionCut {
    /// Describes so many connections to an instance.
    pub fn new(instance: impl Into<String>, connections: usize) -> Self {
        Self { instance: instance.into(), connections }
    }
}

/// Describes a pause before the next connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paced {
    /// How long it is.
    pub pause: Duration,
}

impl Paced {
    /// Describes a pause.
    pub fn new(pause: Duration) -> Self {
        Self { pause }
    }
}

/// Hands events to the listeners registered by `on_event`; clones share them.
///
/// A callback runs synchronously where the event happens and should be short: until it returns,
/// later changes of the same cluster are not reported and cut no connections. A panic in it reaches
/// the panic hook and affects no other callback.
#[derive(Clone, Default)]
pub struct Events(Arc<[Callback]>);

type Callback = Arc<dyn Fn(&Event) + Send + Sync>;

impl Events {
    /// Creates an empty list of listeners.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a callback.
    #[must_use]
    pub fn with(self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let callback: Callback = Arc::new(callback);
        Self(self.0.iter().cloned().chain([callback]).collect())
    }

    /// Returns whether there are no listeners, so that an event need not be built.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls every listener.
    pub fn emit(&self, event: &Event) {
        for callback in &*self.0 {
            // A callback cannot leave anything of ours half done: it gets a shared reference. The
            // value of its panic is forgotten, because it may panic again when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| callback(event))).map_err(mem::forget);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("listeners", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn callback_that_panics_affects_no_other() {
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        let events = Events::none().with(|_| panic!("a callback of a test panics")).with(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });

        let event = Event::CredentialsLoaded(CredentialsLoaded::new("…ABCD", "a test"));
        events.emit(&event);
        events.emit(&event);

        assert_eq!(heard.load(Ordering::SeqCst), 2);
        assert!(Events::none().is_empty() && !events.is_empty());
    }

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("the value of a panic panics");
        }
    }

    #[test]
    fn callback_whose_panic_panics_when_dropped_affects_no_other() {
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        let events = Events::none().with(|_| std::panic::panic_any(PanicsOnDrop)).with(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });

        events.emit(&Event::Paced(Paced::new(Duration::ZERO)));

        assert_eq!(heard.load(Ordering::SeqCst), 1);
    }
}
