//! Where the credentials come from.

#[cfg(feature = "default-chain")]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "default-chain")]
use aws_config::{BehaviorVersion, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig};
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
};
use iam_token::Signer;
use token_cache::{Clock, Expiring};
use wrapper_core::{CredentialsFailure, Error, ErrorKind, Result, legible};

/// How long credentials without an expiry are kept before they are asked for again.
const LIFE_WITHOUT_EXPIRY: Duration = Duration::from_secs(15 * 60);

/// A source of credentials: one that the program gives, or the AWS default chain.
#[derive(Clone)]
pub(crate) enum Source {
    #[cfg(feature = "default-chain")]
    DefaultChain(Arc<DefaultChain>),
    Provider(SharedCredentialsProvider),
}

/// The AWS default chain.
///
/// What the SDK builds of it reads the files of a profile once and never again. So it is kept only as long as it gives keys
/// that end, which come from elsewhere, and for the sake of those of a machine's role, which it gives again while their
/// source is down. Keys in a file, or a file that is still to be written, are looked for anew at each load.
#[cfg(feature = "default-chain")]
#[derive(Default)]
pub(crate) struct DefaultChain {
    pub(crate) profile: Option<String>,
    kept: Mutex<Option<SharedCredentialsProvider>>,
}

#[cfg(feature = "default-chain")]
impl DefaultChain {
    pub(crate) fn new(profile: Option<String>) -> Self {
        Self { profile, ..Self::default() }
    }

    async fn load(&self) -> Result<aws_credential_types::provider::Result> {
        let kept = self.kept().clone();
        let provider = match kept {
            Some(provider) => provider,
            None => default_chain(self.profile.as_deref()).await.ok_or_else(|| {
                let message = "the aws default chain has no source of credentials";
                failed(CredentialsFailure::NotConfigured, message)
            })?,
        };
        let credentials = provider.provide_credentials().await;
        if let Ok(credentials) = &credentials {
            *self.kept() = credentials.expiry().map(|_| provider);
        }
        Ok(credentials)
    }

    fn kept(&self) -> MutexGuard<'_, Option<SharedCredentialsProvider>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The AWS default chain of credentials or, with a profile, that profile alone; not cached.
///
/// In the chain the environment's keys would win over a profile that somebody named on purpose. `None` where the SDK
/// has no source at all.
///
/// # Panics
///
/// The SDK's HTTP client panics on a machine without any trusted roots; in [`IamTokens`](crate::IamTokens) that is an error.
#[cfg(feature = "default-chain")]
pub async fn default_chain(profile: Option<&str>) -> Option<SharedCredentialsProvider> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let Some(profile) = profile else {
        return config.credentials_provider();
    };
    let provider_config = ProviderConfig::without_region().with_region(config.region().cloned());
    let provider =
        ProfileFileCredentialsProvider::builder().configure(&provider_config).profile_name(profile);
    Some(SharedCredentialsProvider::new(provider.build()))
}

impl Source {
    /// Loads credentials and makes a signer of them; the time they live counts from now.
    pub(crate) async fn load(self, clock: Arc<dyn Clock>) -> Result<Expiring<Signer>> {
        let credentials = match &self {
            #[cfg(feature = "default-chain")]
            Source::DefaultChain(chain) => chain.load().await?,
            Source::Provider(provider) => provider.provide_credentials().await,
        };
        let credentials = credentials.map_err(|error| self.error(error))?;
        let now = clock.now();
        let expiry = credentials.expiry();
        if expiry.is_some_and(|expiry| expiry <= now) {
            return Err(failed(
                CredentialsFailure::Expired,
                "the credentials that the source gave have already expired: renew the session, and check the clock",
            ));
        }
        let signer = Signer::new(credentials);
        tracing::debug!(
            access_key = %last_four(signer.access_key_id()),
            expires_in_s = expiry.and_then(|expiry| expiry.duration_since(now).ok()).map(|left| left.as_secs()),
            source = ?self,
            "credentials loaded"
        );
        Ok(match expiry {
            Some(expiry) => Expiring::new(signer, now, expiry),
            None => Expiring::without_end(signer, now, LIFE_WITHOUT_EXPIRY),
        })
    }

    fn error(&self, error: CredentialsError) -> Error {
        let (failure, message) = match &error {
            CredentialsError::CredentialsNotLoaded(_) => (
                CredentialsFailure::NotConfigured,
                format!(
                    "no aws credentials found in {self}: set AWS_PROFILE or `awsProfile`, log in, or give the machine a role"
                ),
            ),
            CredentialsError::ProviderTimedOut(_) => {
                (CredentialsFailure::TimedOut, format!("{self} gave no aws credentials in time"))
            }
            CredentialsError::InvalidConfiguration(_) => {
                (CredentialsFailure::Failed, format!("{self} is not configured right for aws credentials"))
            }
            _ => (
                CredentialsFailure::Failed,
                format!("{self} failed to give aws credentials{}", self.remedy()),
            ),
        };
        failed(failure, message).with_source(error)
    }

    fn remedy(&self) -> &'static str {
        match self {
            #[cfg(feature = "default-chain")]
            Source::DefaultChain(_) => {
                ": set AWS_PROFILE or `awsProfile` or AWS_ACCESS_KEY_ID, log in, or give the machine a role"
            }
            Source::Provider(_) => "",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "default-chain")]
            Source::DefaultChain(chain) => match &chain.profile {
                Some(profile) => write!(f, "profile `{}`", profile.escape_debug()),
                None => f.write_str("the aws default chain"),
            },
            Source::Provider(_) => f.write_str("the given provider"),
        }
    }
}

// The provider's own `Debug` is a stranger's.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of an access key id, enough to tell which one it is.
pub(crate) fn last_four(access_key_id: &str) -> String {
    let skipped = access_key_id.chars().count().saturating_sub(4);
    let end: String = access_key_id.chars().skip(skipped).collect();
    format!("…{}", legible(&end))
}

pub(crate) fn failed(failure: CredentialsFailure, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Credentials(failure), message)
}
