//! A secret on demand, from one source of credentials.

mod builder;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use token_cache::{Clock, Expiring, FetchError, Lease, Renewal, Renewing};
use wrapper_core::{
    BoxFuture, ConnectRequest, Error, ErrorKind, Event, Events, Result, events::SecretLoaded,
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

/// Gives the user and the password of one secret of Secrets Manager; clones share what was loaded.
///
/// The secret is loaded once for all who wait, renewed ahead beside those who use it, and served on
/// while the service is down. One that a server refused is loaded anew, once for all who are
/// refused: a rotation reaches everybody with one call.
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
/// `provider.secret().await` then gives user and password, and
/// [`after_refusal`](Self::after_refusal) what to do when a server refuses them.
#[derive(Clone)]
pub struct SecretProvider(Arc<Inner>);

struct Inner {
    service: Service,
    renew_after: Duration,
    clock: Arc<dyn Clock>,
    cell: Renewing<Content, Error>,
    steps: Steps,
    counters: Counters,
    /// What was loaded last, to tell a rotation.
    last: Mutex<Option<Login>>,
    listeners: Mutex<Vec<Weak<Events>>>,
}

/// Keeps listeners listening until it is dropped; made by [`SecretProvider::tell`].
#[derive(Debug)]
#[must_use = "dropped, it ends the listening"]
pub struct Telling(#[expect(dead_code, reason = "held, not read")] Arc<Events>);

/// A user and a password, to compare with.
type Login = (String, Arc<Zeroizing<String>>);

/// Tells whether a secret that a server refused has changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AfterRefusal {
    /// There is another user or password: log in once more.
    Changed(DatabaseSecret),
    /// The service could not be asked.
    Failed(Error),
    /// The service has the same, or was asked a moment ago.
    Unchanged,
}

impl SecretProvider {
    /// Starts to build a provider for a secret, by its name or ARN.
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
    /// Dropping the future loses nothing: others who wait for the same load drive it on.
    pub async fn secret(&self) -> Result<DatabaseSecret> {
        let served = self.0.cell.get(self.load(None)).await;
        let (lease, renewal) = served.map_err(|error| self.0.service.fetch_error(error))?;
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

    /// Says whether a login with another secret than the refused one is worth it, and loads it anew
    /// where that is due.
    ///
    /// However many are refused, they share one load. While loads bring the same secret, as in the
    /// window of a rotation in which the database has the new password and the secret has not, one
    /// is due after 1 s, then 2, 4 and every 8 s.
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
        let living = match self.secret().await {
            Ok(living) => living,
            Err(error) => {
                self.note_fruitless();
                return AfterRefusal::Failed(error);
            }
        };
        let is_other = |secret: &DatabaseSecret| !secret.0.value().is_same_login(refused.0.value());
        if is_other(&living) {
            return AfterRefusal::Changed(living);
        }
        if !inner.steps.may_load(inner.clock.now()) {
            return AfterRefusal::Unchanged;
        }
        match inner.cell.refetch(&living.0, self.load(Some(refused.0.clone()))).await {
            Ok(lease) => {
                let secret = DatabaseSecret(lease);
                if is_other(&secret) { AfterRefusal::Changed(secret) } else { AfterRefusal::Unchanged }
            }
            Err(error) => {
                self.note_fruitless();
                AfterRefusal::Failed(inner.service.fetch_error(error))
            }
        }
    }

    /// Loads the secret anew at the end of the current step, once for all who wait, and returns the
    /// newest one.
    ///
    /// `None` if that is not before `until`.
    pub(crate) async fn next_step(
        &self,
        refused: &DatabaseSecret,
        until: SystemTime,
    ) -> Option<DatabaseSecret> {
        let inner = &*self.0;
        let now = inner.clock.now();
        // One that was loaded for this connect was as new as can be, so that its first step begins
        // with the load.
        let after_load = || refused.loaded_at().min(now) + FIRST_STEP;
        let at = inner.steps.next(now).unwrap_or_else(after_load);
        if at > until {
            return None;
        }
        inner.clock.sleep_until(at).await;
        inner.counters.retried();
        Some(match self.newer(refused).await {
            AfterRefusal::Changed(secret) => secret,
            _ => refused.clone(),
        })
    }

    /// Notes that a server accepted the secret.
    pub fn report_accepted(&self, secret: &DatabaseSecret) {
        let now = self.0.clock.now();
        secret.0.accepted(now);
        self.0.counters.accepted(now);
    }

    /// Notes that a server refused the secret, where that is final.
    pub fn report_refused(&self) {
        self.0.counters.refused();
    }

    /// Notes that a login was tried once more with another secret.
    pub fn report_retried(&self) {
        self.0.counters.retried();
    }

    /// Adds to the error of a refused login what is known of the secret, and ranks the causes; for
    /// those who connect by themselves.
    pub fn explain(&self, refused: &Error, secret: &DatabaseSecret, request: &ConnectRequest) -> Error {
        let (id, now) = (self.secret_id(), self.0.clock.now());
        Refusal { request, secret, id, retry: &Retry::None, retry_timeout: None, now }.explain(refused)
    }

    /// Forgets the secret; what is being loaded at this moment is not kept either.
    pub fn clear(&self) {
        self.0.cell.clear();
        self.0.steps.reset();
    }

    /// Tells these listeners of each load, as long as what it returns is held.
    ///
    /// `None` where nobody listens.
    pub fn tell(&self, events: &Events) -> Option<Telling> {
        if events.is_empty() {
            return None;
        }
        let events = Arc::new(events.clone());
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listeners| listeners.strong_count() > 0);
        listeners.push(Arc::downgrade(&events));
        Some(Telling(events))
    }

    /// Returns what has happened so far.
    pub fn stats(&self) -> SecretStats {
        self.0.counters.snapshot(self.0.cell.stats())
    }

    /// Returns the clock by which the secret ages.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Returns the age at which the secret is asked for again without a refusal.
    pub fn renew_after(&self) -> Duration {
        self.0.renew_after
    }

    /// Refuses a configured user other than the secret's; an empty name stands for no user.
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
                "user `{}` is configured and secret `{}` is for `{}`: leave the user out, as a rotation by \
                 two users changes it",
                escape_control(configured),
                self.secret_id(),
                escape_control(secret.user())
            ),
        ))
    }

    /// Returns the region that the secret is asked for in.
    pub fn region(&self) -> &str {
        self.0.service.id.region().as_str()
    }

    /// Returns the name or ARN of the secret.
    pub fn secret_id(&self) -> &str {
        self.0.service.id.as_str()
    }

    /// Notes a load that failed, once for all that waited for it.
    fn note_fruitless(&self) {
        let now = self.0.clock.now();
        if self.0.steps.may_load(now) {
            self.0.steps.fruitless(now);
        }
    }

    /// Runs a renewal beside the caller.
    fn renew(&self, renewal: Option<Renewal<Content, Error>>) {
        let Some(renewal) = renewal else { return };
        let provider = self.clone();
        let renew = async move {
            match renewal.run().await {
                Ok(_) | Err(FetchError::NotExtended) => {}
                Err(error) => {
                    let error = provider.0.service.fetch_error(error);
                    let secret = provider.secret_id();
                    tracing::warn!(secret, %error, "secret not renewed, the living one goes on serving");
                }
            }
        };
        // Without a runtime nothing runs beside, and no driver connects either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(renew);
        }
    }

    /// Returns one load; `refused` is given where a server refused what it is to replace.
    fn load(
        &self,
        refused: Option<Lease<Content>>,
    ) -> impl FnOnce() -> BoxFuture<'static, Result<Expiring<Content>>> + Send + use<> {
        let this = self.clone();
        move || {
            Box::pin(async move {
                let loaded = this.0.service.read().await;
                // Before the load ends for those who wait: who comes after it must find the step
                // begun, else he would ask again.
                if let Some(refused) = refused {
                    match &loaded {
                        Ok(content) if !content.is_same_login(refused.value()) => this.0.steps.reset(),
                        _ => this.0.steps.fruitless(this.0.clock.now()),
                    }
                }
                let content = loaded?;
                this.0.loaded(&content);
                Ok(Expiring::without_end(content, this.0.clock.now(), this.0.renew_after))
            })
        }
    }
}

impl Inner {
    /// Tells of a load.
    fn loaded(&self, content: &Content) {
        let login = (content.user.clone(), Arc::clone(&content.password));
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
        // Callbacks run outside of the lock.
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
