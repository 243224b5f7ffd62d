//! Provides a secret on demand, and renews it.

mod builder;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use token_cache::{Clock, Expiring, FetchError, Lease, Renewal, Renewing};
use wrapper_core::{
    BoxFuture, ConnectRequest, Error, ErrorKind, Event, Events, Result,
    adapter::{Phase, Progress},
    events::SecretLoaded,
    text::escape_control,
};
use zeroize::Zeroizing;

pub use self::builder::SecretProviderBuilder;
use crate::{
    refusal::{Refusal, Retry},
    rotation::{FIRST_STEP, Steps},
    secret::{Content, DatabaseSecret},
    service::Service,
    stats::{Counters, SecretStats},
};

/// Provides the user and the password of one secret of Secrets Manager; clones share its cache.
///
/// Concurrent callers share one load, renewals run ahead in the background, and while the service
/// is down the held secret stays in use. After a refused login the secret is loaded again, once for
/// all refused logins, so a rotation costs one call.
///
/// ```
/// use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
/// use wrapper_iam::IamTokenProvider;
/// use wrapper_secrets::SecretProvider;
///
/// # let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "mine");
/// let aws = IamTokenProvider::builder()
///     .credentials_provider(SharedCredentialsProvider::new(credentials))
///     .build()?
///     .credentials();
/// let provider = SecretProvider::builder("prod/app").region("us-east-2").credentials(aws).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `provider.secret().await` then returns user and password, and
/// [`after_refusal`](Self::after_refusal) says what to do when a server refuses them.
#[derive(Clone)]
pub struct SecretProvider(Arc<Inner>);

struct Inner {
    service: Arc<Service>,
    renew_after: Duration,
    clock: Arc<dyn Clock>,
    cell: Renewing<Content, Error>,
    steps: Steps,
    counters: Counters,
    /// The last loaded pair, to detect a rotation.
    last: Mutex<Option<Login>>,
    listeners: Mutex<Vec<Weak<Events>>>,
}

/// Keeps listeners registered until it is dropped; returned by [`SecretProvider::add_listeners`].
#[derive(Debug)]
#[must_use = "dropping it removes the listeners"]
pub struct ListenerGuard(#[expect(dead_code, reason = "held, not read")] Arc<Events>);

/// A user and a password, for comparison.
type Login = (String, Arc<Zeroizing<String>>);

/// Says whether a refused secret has changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AfterRefusal {
    /// Another user or password was loaded: log in once more.
    Changed(DatabaseSecret),
    /// The service could not be reached, or failed.
    Failed(Error),
    /// The service returned the same secret, or was called a moment ago.
    Unchanged,
}

impl SecretProvider {
    /// Returns a builder for the provider of a secret, by name or ARN.
    pub fn builder(secret_id: impl Into<String>) -> SecretProviderBuilder {
        SecretProviderBuilder::new(secret_id.into())
    }

    /// Returns the user and the password.
    ///
    /// # Errors
    ///
    /// An error by kind, with the remedy, if no secret can be loaded and none is held.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: other callers that wait for the same load drive it on.
    pub async fn secret(&self) -> Result<DatabaseSecret> {
        let served = self.0.cell.get(self.load(None)).await;
        let (lease, renewal) = served.map_err(|error| self.0.service.fetch_error(error))?;
        // Handed to one caller at a time; it is spawned, so this login does not wait for it.
        self.renew(renewal);
        Ok(DatabaseSecret(lease))
    }

    /// Loads the secret without connecting, at start-up or in a readiness check.
    ///
    /// # Errors
    ///
    /// As [`secret`](Self::secret).
    pub async fn warm_up(&self) -> Result<()> {
        self.secret().await.map(drop)
    }

    /// Loads the secret again if that is due, and returns whether it differs from the refused one.
    ///
    /// All refused logins share one load. While loads return the same secret, as in the window of a
    /// rotation in which only the database has the new password, the next one is due after 1 s,
    /// then 2, 4 and every 8 s.
    ///
    /// # Cancel safety
    ///
    /// As [`secret`](Self::secret).
    pub async fn after_refusal(&self, refused: &DatabaseSecret) -> AfterRefusal {
        self.0.counters.refused();
        self.newer(refused).await
    }

    async fn newer(&self, refused: &DatabaseSecret) -> AfterRefusal {
        let inner = &*self.0;
        // Read before the wait, so that a load that fails is recorded once for all of its waiters.
        let notes = inner.steps.notes();
        // What the cell holds may be newer than the refused secret, and then costs no call.
        let living = match self.secret().await {
            Ok(living) => living,
            Err(error) => {
                inner.steps.note_failed(notes, inner.clock.now());
                return AfterRefusal::Failed(error);
            }
        };
        // Compared by user and password, not by version: a new version can hold the same login.
        let is_other = |secret: &DatabaseSecret| !secret.0.value().is_same_login(refused.0.value());
        // Another refused login, or a renewal, has loaded a newer secret meanwhile.
        if is_other(&living) {
            return AfterRefusal::Changed(living);
        }
        // A check that races with another caller's load is harmless: `refetch` then returns its
        // result.
        if !inner.steps.may_load(inner.clock.now()) {
            return AfterRefusal::Unchanged;
        }
        // `refetch` names the lease that it replaces, so concurrent refusals join one load.
        match inner.cell.refetch(&living.0, self.load(Some(refused.0.clone()))).await {
            Ok(lease) => {
                let secret = DatabaseSecret(lease);
                if is_other(&secret) { AfterRefusal::Changed(secret) } else { AfterRefusal::Unchanged }
            }
            Err(error) => {
                // A load that timed out has recorded nothing.
                inner.steps.note_failed(notes, inner.clock.now());
                AfterRefusal::Failed(inner.service.fetch_error(error))
            }
        }
    }

    /// Loads the secret again at the end of the current step, once for all waiting logins, and
    /// returns the newest one; `None` if the step ends after `until`. Only the load is a wait for
    /// credentials.
    pub(crate) async fn next_step(
        &self,
        refused: &DatabaseSecret,
        until: SystemTime,
        progress: &Progress,
    ) -> Option<DatabaseSecret> {
        let inner = &*self.0;
        let now = inner.clock.now();
        // A secret loaded for this connect is as new as possible: its first step starts at the
        // load.
        let after_load = || refused.loaded_at().min(now) + FIRST_STEP;
        let at = inner.steps.next(now).unwrap_or_else(after_load);
        // A step that ends after the deadline is not waited for: the error comes sooner.
        if at > until {
            return None;
        }
        // Dropped here, nothing is lost: the step belongs to all logins and not to this one.
        progress.enter(Phase::Refused);
        inner.clock.sleep_until(at).await;
        progress.enter(Phase::Credentials);
        inner.counters.retried();
        Some(match self.newer(refused).await {
            AfterRefusal::Changed(secret) => secret,
            _ => refused.clone(),
        })
    }

    /// Records that a server accepted the secret.
    pub fn report_accepted(&self, secret: &DatabaseSecret) {
        let now = self.0.clock.now();
        secret.0.accepted(now);
        self.0.counters.accepted(now);
    }

    /// Records a final refusal of the secret.
    pub fn report_refused(&self) {
        self.0.counters.refused();
    }

    /// Records a login that is retried with another secret.
    pub fn report_retried(&self) {
        self.0.counters.retried();
    }

    /// Adds the state of the secret to the error of a refused login, and ranks the causes; for
    /// programs that connect without the plugin.
    pub fn explain(&self, refused: &Error, secret: &DatabaseSecret, request: &ConnectRequest) -> Error {
        let (id, now) = (self.secret_id(), self.0.clock.now());
        Refusal { request, secret, id, retry: &Retry::None, retry_timeout: None, now }.explain(refused)
    }

    /// Drops the held secret, and discards the result of a running load.
    pub fn clear(&self) {
        self.0.cell.clear();
        self.0.steps.reset();
    }

    /// Reports each load to these listeners until the guard is dropped; `None` without listeners.
    pub fn add_listeners(&self, events: &Events) -> Option<ListenerGuard> {
        if events.is_empty() {
            return None;
        }
        // Held weakly: a dropped guard ends the reports without a search of the list.
        let events = Arc::new(events.clone());
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        // Swept here, so that a provider that outlives its connectors keeps no dead entries.
        listeners.retain(|listeners| listeners.strong_count() > 0);
        listeners.push(Arc::downgrade(&events));
        Some(ListenerGuard(events))
    }

    /// Returns the counters.
    pub fn stats(&self) -> SecretStats {
        self.0.counters.snapshot(self.0.cell.stats())
    }

    /// Returns the clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Returns the age at which the secret is renewed.
    pub fn renew_after(&self) -> Duration {
        self.0.renew_after
    }

    /// Rejects a configured user other than the secret's; an empty name means no user.
    ///
    /// # Errors
    ///
    /// A configuration error that names both.
    pub fn check_user(&self, configured: &str, secret: &DatabaseSecret) -> Result<()> {
        if configured.is_empty() || configured == secret.user() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "user `{}` is configured, but secret `{}` is for `{}`: remove the user, as a rotation by \
                 two users changes it",
                escape_control(configured),
                self.secret_id(),
                escape_control(secret.user())
            ),
        ))
    }

    /// Returns the region of the secret.
    pub fn region(&self) -> &str {
        self.0.service.id.region().as_str()
    }

    /// Returns the name or ARN of the secret.
    pub fn secret_id(&self) -> &str {
        self.0.service.id.as_str()
    }

    /// Runs a renewal in the background.
    fn renew(&self, renewal: Option<Renewal<Content, Error>>) {
        let Some(renewal) = renewal else { return };
        let provider = self.clone();
        let renew = async move {
            match renewal.run().await {
                Ok(_) | Err(FetchError::NotExtended) => {}
                Err(error) => {
                    let error = provider.0.service.fetch_error(error);
                    let secret = provider.secret_id();
                    tracing::warn!(secret, %error, "failed to renew the secret, the held one stays in use");
                }
            }
        };
        // Without a runtime no driver can connect either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(renew);
        }
    }

    /// Returns the future of one load; `refused` is the secret that a server refused, if any.
    fn load(
        &self,
        refused: Option<Lease<Content>>,
    ) -> impl FnOnce() -> BoxFuture<'static, Result<Expiring<Content>>> + Send + use<> {
        let (service, clock) = (Arc::clone(&self.0.service), Arc::clone(&self.0.clock));
        let renew_after = self.0.renew_after;
        // Weak: the cell owns the load, so a load that owned the cell would keep both for ever once
        // nobody waits.
        let inner = Arc::downgrade(&self.0);
        move || {
            Box::pin(async move {
                let loaded = service.read().await;
                if let Some(inner) = inner.upgrade() {
                    inner.ended(&loaded, refused.as_ref().map(Lease::value));
                }
                Ok(Expiring::without_end(loaded?, clock.now(), renew_after))
            })
        }
    }
}

impl Inner {
    /// Records the end of a load, before the waiting logins wake: one that arrives after it must
    /// find the step begun, or it would call the service again.
    fn ended(&self, loaded: &Result<Content>, refused: Option<&Content>) {
        if let Some(refused) = refused {
            match loaded {
                Ok(content) if !content.is_same_login(refused) => self.steps.reset(),
                _ => self.steps.note_unchanged(self.clock.now()),
            }
        }
        if let Ok(content) = loaded {
            self.loaded(content);
        }
    }

    /// Reports a load.
    fn loaded(&self, content: &Content) {
        let login = (content.user.clone(), Arc::clone(&content.password));
        // The guard ends with this statement: the log and the listeners below are foreign code.
        let former = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(login.clone());
        let (secret, version, user) = (self.service.id.as_str(), &*content.version, &*content.user);
        let mut event = SecretLoaded::new(secret, version, user);
        event.is_changed = former.is_some_and(|former| former != login);
        if event.is_changed {
            self.counters.rotated();
            tracing::info!(secret, version, user, "secret loaded, with another user or password");
        } else {
            tracing::debug!(secret, version, user, "secret loaded");
        }
        // No lock is held while callbacks run.
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for events in listeners.iter().filter_map(Weak::upgrade) {
            events.emit(&Event::SecretLoaded(event.clone()));
        }
        if let Some(host) = &content.host {
            let host = escape_control(host);
            tracing::trace!(secret, host, "the secret names a host, which is not followed");
        }
    }
}

impl fmt::Debug for SecretProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretProvider").field("service", &self.0.service).finish_non_exhaustive()
    }
}
