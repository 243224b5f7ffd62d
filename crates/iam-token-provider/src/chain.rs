//! The AWS default chain.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_config::{BehaviorVersion, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig};
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider};

use crate::error::{CredentialsFailure, Error, Result};

/// The AWS default chain, or one profile.
///
/// What the SDK builds of it reads the files of a profile once and never again. So it is kept only as long as it gives keys
/// that end, which come from elsewhere, and for the sake of those of a machine's role, which it gives again while their
/// source is down. Keys in a file, or a file that is still to be written, are looked for anew at each load.
#[derive(Default)]
pub(crate) struct DefaultChain {
    profile: Option<String>,
    kept: Mutex<Option<SharedCredentialsProvider>>,
}

impl DefaultChain {
    pub(crate) fn new(profile: Option<String>) -> Self {
        Self { profile, ..Self::default() }
    }

    pub(crate) async fn load(&self) -> Result<provider::Result> {
        let kept = self.kept().clone();
        let provider = match kept {
            Some(provider) => provider,
            None => default_chain(self.profile.as_deref()).await.ok_or_else(|| {
                let message = "the AWS default chain has no source of credentials";
                Error::credentials(CredentialsFailure::NotConfigured, message)
            })?,
        };
        let credentials = provider.provide_credentials().await;
        if let Ok(credentials) = &credentials {
            let keep = credentials.expiry().map(|_| provider);
            // Replaced under the lock, dropped after it.
            let former = std::mem::replace(&mut *self.kept(), keep);
            drop(former);
        }
        Ok(credentials)
    }

    fn kept(&self) -> MutexGuard<'_, Option<SharedCredentialsProvider>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for DefaultChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.profile {
            Some(profile) => write!(f, "profile `{}`", profile.escape_debug()),
            None => f.write_str("the AWS default chain"),
        }
    }
}

/// Returns the AWS default chain of credentials or, with a profile, that profile alone; not cached.
///
/// In the chain the environment's keys would win over a profile that somebody named on purpose. `None` where the SDK
/// has no source at all.
///
/// # Panics
///
/// The SDK's HTTP client panics on a machine without any trusted roots; in an
/// [`IamTokenProvider`](crate::IamTokenProvider) that is an error.
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
