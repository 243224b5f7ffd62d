//! The source of credentials, and loading from it.

use std::{
    any::Any,
    error::Error as _,
    fmt,
    future::{pending, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
};
use aws_smithy_runtime_api::{box_error::BoxError, client::identity::Identity};
use iam_token::Signer;
use token_cache::{BoxFuture, Clock, Expiring};
use tokio::runtime::Handle;

use crate::error::{CredentialsFailure, Error, Result};

/// How long credentials without an expiry are used before they are reloaded.
const LIFE_WITHOUT_EXPIRY: Duration = Duration::from_secs(15 * 60);

/// Returns an identity that an AWS SDK resolved.
pub(crate) type Identify =
    dyn Fn() -> BoxFuture<'static, std::result::Result<Identity, BoxError>> + Send + Sync;

/// A source of credentials: the program's own, or the AWS default chain.
#[derive(Clone)]
pub(crate) enum Source {
    #[cfg(feature = "default-chain")]
    DefaultChain(crate::chain::DefaultChain),
    Identity(Arc<Identify>),
    Provider(SharedCredentialsProvider),
}

impl Source {
    /// Suggests the target's region, used where no other is set.
    pub(crate) fn suggest_region(&self, region: &str) {
        match self {
            #[cfg(feature = "default-chain")]
            Self::DefaultChain(chain) => chain.suggest_region(region),
            Self::Identity(_) | Self::Provider(_) => {
                let _ = region;
            }
        }
    }

    /// Loads credentials and creates a signer from them, issued now.
    pub(crate) async fn load(&self, clock: &dyn Clock) -> Result<Expiring<Signer>> {
        // The runtime of the first poll: the sockets and timers of the load belong to it.
        let started_in = Handle::try_current().ok();
        let mut loaded = self.guarded(self.signer()).await;
        if loaded.is_err() && started_in.is_some_and(|runtime| is_gone(&runtime)) {
            // The current poller lives in another runtime; the sockets and timers of the first one
            // are closed.
            loaded = self.guarded(self.signer()).await;
        }
        let signer = loaded?;
        let now = clock.now();
        let Some(expiry) = signer.expiry() else {
            return Ok(Expiring::without_end(signer, now, LIFE_WITHOUT_EXPIRY));
        };
        if expiry <= now {
            return Err(expired());
        }
        Ok(Expiring::new(signer, now, expiry))
    }

    async fn signer(&self) -> Result<Signer> {
        let credentials = match self {
            #[cfg(feature = "default-chain")]
            Self::DefaultChain(chain) => return chain.load().await.map(Signer::new),
            Self::Identity(identify) => {
                let identity = identify().await.map_err(|error| self.failed(error))?;
                return Signer::from_identity(&identity).map_err(|error| self.failed(error.into()));
            }
            Self::Provider(provider) => provider.provide_credentials().await,
        };
        credentials.map(Signer::new).map_err(|error| self.error(error))
    }

    /// Turns a panic of the source into an error that says what it needs.
    async fn guarded<T>(&self, load: impl Future<Output = Result<T>>) -> Result<T> {
        let mut load = pin!(load);
        // Unwind-safe: the future is never polled again after a panic, it is dropped with this one.
        let polled = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                let error = self.panicked(&*panic);
                // Its value may panic again when it is dropped.
                mem::forget(panic);
                Poll::Ready(Err(error))
            }
        });
        polled.await
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        // The panic message is foreign and may hold a secret, so it is not shown.
        let is_tokio = text.contains("Tokio 1.x");
        let message = if is_tokio && text.contains("shutdown") {
            "the tokio runtime in which AWS credentials were loaded is gone".to_owned()
        } else if is_tokio {
            needs_runtime().to_owned()
        } else if text.to_ascii_lowercase().contains("certificate") {
            "the source of AWS credentials panicked, as the AWS SDK does where a machine trusts no \
             certificate authority: install ca-certificates"
                .to_owned()
        } else {
            format!("{self} panicked while it loaded AWS credentials")
        };
        Error::credentials(CredentialsFailure::Failed, message)
    }

    fn failed(&self, error: BoxError) -> Error {
        let kind = crate::ErrorKind::Credentials(CredentialsFailure::Failed);
        Error::caused(kind, format!("{self} failed to provide AWS credentials"), error)
    }

    fn error(&self, error: CredentialsError) -> Error {
        // A `DefaultChain` given as a provider already returns this crate's error.
        if let Some(ours) = error.source().and_then(|source| source.downcast_ref::<Error>()) {
            return ours.clone();
        }
        let (failure, message) = match &error {
            CredentialsError::CredentialsNotLoaded(_) => (
                CredentialsFailure::NotConfigured,
                format!(
                    "no AWS credentials found in {self}: set AWS_PROFILE or `awsProfile`, log in, or give \
                     the machine a role"
                ),
            ),
            CredentialsError::ProviderTimedOut(_) => {
                (CredentialsFailure::TimedOut, format!("{self} timed out while providing AWS credentials"))
            }
            CredentialsError::InvalidConfiguration(_) => (
                CredentialsFailure::Failed,
                format!("{self} has an invalid configuration of AWS credentials"),
            ),
            _ => (CredentialsFailure::Failed, format!("{self} failed to provide AWS credentials")),
        };
        Error::caused(crate::ErrorKind::Credentials(failure), message, error)
    }
}

/// Returns whether a runtime was shut down, in which case it ends every new task at once.
fn is_gone(runtime: &Handle) -> bool {
    let probe = runtime.spawn(pending::<()>());
    let is_gone = probe.is_finished();
    probe.abort();
    is_gone
}

pub(crate) fn expired() -> Error {
    Error::credentials(
        CredentialsFailure::Expired,
        "the source returned AWS credentials that have already expired: renew the session, and check \
         the clock",
    )
}

pub(crate) fn needs_runtime() -> &'static str {
    "AWS credentials need a tokio runtime with time and I/O enabled: build it with enable_all"
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "default-chain")]
            Self::DefaultChain(chain) => chain.fmt(f),
            Self::Identity(_) | Self::Provider(_) => f.write_str("the given provider"),
        }
    }
}

// The provider's own `Debug` is foreign code and may print secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
