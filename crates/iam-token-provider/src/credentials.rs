//! The credentials of one source, kept fresh.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use iam_token::Signer;
use token_cache::{BoxFuture, Clock, Expiring, FetchError, Lease, Renewal, Renewing, RenewingStats};

use crate::{
    AfterRefusal,
    error::{CredentialsFailure, Error, ErrorKind, Result},
    listening::{FailedCredentials, Failures, Listeners, LoadedCredentials},
    provider_name::provider_name,
    refusals::Refusals,
    source::{Source, expired, needs_runtime},
    token::masked_key_id,
};

/// The credentials of one source: loaded once for all waiting callers, renewed ahead of their
/// expiry, and served while the source is down.
///
/// It also provides them to AWS SDK clients, which then need no credentials of their own. Clones
/// share everything.
#[derive(Clone)]
pub struct CredentialsSource(Arc<Inner>);

struct Inner {
    source: Source,
    clock: Arc<dyn Clock>,
    cell: Renewing<Signer, Error>,
    refusals: Refusals,
    /// The access key of the last load.
    last_key: Mutex<Option<Box<str>>>,
    failures: Failures,
    on_load: Listeners<LoadedCredentials>,
    on_failure: Listeners<FailedCredentials>,
}

impl CredentialsSource {
    pub(crate) fn new(source: Source, clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Self(Arc::new(Inner {
            source,
            cell: Renewing::new(Arc::clone(&clock), limit),
            clock,
            refusals: Refusals::default(),
            last_key: Mutex::new(None),
            failures: Failures::default(),
            on_load: Listeners::default(),
            on_failure: Listeners::default(),
        }))
    }

    /// Sets the region of STS and AWS sign-in for machines that configure none: the region of the
    /// target.
    pub fn suggest_region(&self, region: &str) {
        self.0.source.suggest_region(region);
    }

    pub(crate) fn on_load(&self) -> &Listeners<LoadedCredentials> {
        &self.0.on_load
    }

    pub(crate) fn on_failure(&self) -> &Listeners<FailedCredentials> {
        &self.0.on_failure
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    pub(crate) fn stats(&self) -> RenewingStats {
        self.0.cell.stats()
    }

    pub(crate) fn clear(&self) {
        self.0.cell.clear();
        self.0.refusals.clear();
    }

    /// Returns the unexpired credentials without waiting, and starts a renewal that is due.
    pub(crate) fn unexpired(&self) -> Option<Lease<Signer>> {
        let (lease, renewal) = self.0.cell.try_get(self.load())?;
        self.renew(renewal);
        Some(lease)
    }

    pub(crate) async fn get(&self) -> Result<Lease<Signer>> {
        let served = self.0.cell.get(self.load()).await;
        let (lease, renewal) = served.map_err(|error| self.failed(error))?;
        self.renew(renewal);
        Ok(lease)
    }

    /// Reloads credentials whose key was refused, if a reload is due, once for all refused callers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the other waiting callers continue the load.
    pub async fn after_refusal(&self, refused_key: &str) -> AfterRefusal {
        let held = match self.unexpired() {
            Some(held) => held,
            None => match self.get().await {
                Ok(loaded) => loaded,
                Err(error) => return AfterRefusal::Failed(error),
            },
        };
        // A renewal, or another refused caller, has replaced the key already.
        if held.value().access_key_id() != refused_key {
            return AfterRefusal::NewKey;
        }
        if !self.0.refusals.may_load(self.0.clock.now(), held.issued_at()) {
            return AfterRefusal::SameKey;
        }
        // Names the credentials that it replaces, so all callers refused with them join one load.
        match self.0.cell.refetch(&held, self.load()).await {
            Ok(loaded) if loaded.value().access_key_id() == refused_key => {
                self.0.refusals.brought_the_same(&loaded);
                AfterRefusal::SameKey
            }
            Ok(_) => AfterRefusal::NewKey,
            Err(error) => {
                // A failed load is damped like one that brings the same key.
                self.0.refusals.failed(self.0.clock.now());
                AfterRefusal::Failed(self.failed(error))
            }
        }
    }

    /// Runs a renewal in a task of its own.
    fn renew(&self, renewal: Option<Renewal<Signer, Error>>) {
        let Some(renewal) = renewal else { return };
        let source = self.clone();
        // It owns a clone, so a load goes on after the caller that started it.
        let renew = async move {
            match renewal.run().await {
                Ok(_) => {}
                // Some sources return new keys only minutes before the old ones expire.
                Err(FetchError::NotExtended) => {
                    tracing::debug!(source = %source.0.source, "the source has no later credentials yet");
                }
                Err(error) => drop(source.failed(error)),
            }
        };
        // Without a runtime no task can run: the next callers reload the credentials when they are
        // about to expire.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(renew);
        }
    }

    fn load(&self) -> impl FnOnce() -> BoxFuture<'static, Result<Expiring<Signer>>> + Send + use<> {
        let (source, clock) = (self.0.source.clone(), Arc::clone(&self.0.clock));
        // Weak: the cell owns the load, so a load that owned the cell would keep both for ever once
        // nobody waits.
        let inner = Arc::downgrade(&self.0);
        move || {
            Box::pin(async move {
                let loaded = source.load(&*clock).await?;
                // Within the load, so that listeners hear of it once, whoever waits for it.
                if let Some(inner) = inner.upgrade() {
                    inner.loaded(&loaded);
                }
                Ok(loaded)
            })
        }
    }

    /// Reports a failed load to the log and the listeners, and returns the error.
    fn failed(&self, error: FetchError<Error>) -> Error {
        let error = self.fetch_error(error);
        if let Some(failures) = self.0.failures.note(self.0.clock.now()) {
            tracing::warn!(failures, source = %self.0.source, %error, "no AWS credentials");
            let (error, source) = (error.clone(), self.0.source.to_string());
            self.0.on_failure.tell(&FailedCredentials { error, failures, source });
        }
        error
    }

    fn fetch_error(&self, error: FetchError<Error>) -> Error {
        let failed = |message: &str| Error::credentials(CredentialsFailure::Failed, message);
        match error {
            FetchError::Failed(error) => error,
            FetchError::TimedOut(limit) => Error::credentials(
                CredentialsFailure::TimedOut,
                format!("{} gave no answer within {limit:?}: check that it is reachable", self.0.source),
            ),
            FetchError::Expired(_) => expired(),
            FetchError::NoTimer => failed(needs_runtime()),
            FetchError::Panicked => failed("the clock panicked while AWS credentials were loaded"),
            error => Error::caused(
                ErrorKind::Credentials(CredentialsFailure::Failed),
                "the AWS credentials could not be renewed",
                error,
            ),
        }
    }
}

impl Inner {
    fn loaded(&self, loaded: &Expiring<Signer>) {
        self.failures.reset();
        let key = loaded.value().access_key_id();
        // The guard ends with this statement, before any listener runs.
        let former = self.last_key.lock().unwrap_or_else(PoisonError::into_inner).replace(key.into());
        let left = loaded.expires_at().and_then(|end| end.duration_since(loaded.issued_at()).ok());
        let expires_in_s = left.map(|left| left.as_secs());
        let access_key = masked_key_id(key);
        let (source, provider) = (&self.source, provider_name(loaded.value().credentials()));
        let is_new_key = former.as_deref() != Some(key);
        // A renewal resets the wait too, which is only for a key that stays the same.
        if is_new_key {
            self.refusals.reset();
        }
        match former {
            Some(_) if is_new_key => {
                tracing::info!(%access_key, expires_in_s, %source, provider,
                    "credentials loaded, with a new access key");
            }
            _ => tracing::debug!(%access_key, expires_in_s, %source, provider, "credentials loaded"),
        }
        let (source, expires_at) = (source.to_string(), loaded.expires_at());
        self.on_load.tell(&LoadedCredentials { access_key, is_new_key, source, expires_at });
    }
}

impl ProvideCredentials for CredentialsSource {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let lease = self.get().await.map_err(CredentialsError::provider_error)?;
            Ok(lease.value().credentials().clone())
        })
    }
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsSource").field("source", &self.0.source).finish_non_exhaustive()
    }
}
