//! The settings of a token provider.

use std::{fmt, sync::Arc, time::Duration};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::{box_error::BoxError, client::identity::Identity};
use token_cache::{Cache, Clock, SystemClock};

use super::{IamTokenProvider, Inner};
use crate::{
    CredentialsSource,
    error::{Error, Result},
    source::{Identify, Source},
    stats::Counters,
};

/// How long a source of credentials may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Builds an [`IamTokenProvider`].
#[derive(Default)]
pub struct IamTokenProviderBuilder {
    provider: Option<SharedCredentialsProvider>,
    identity: Option<Arc<Identify>>,
    profile: Option<String>,
    #[cfg(feature = "default-chain")]
    role: Option<crate::AssumeRole>,
    clock: Option<Arc<dyn Clock>>,
    capacity: Option<usize>,
    load_timeout: Option<Duration>,
}

impl IamTokenProviderBuilder {
    /// Takes credentials from a provider in place of the AWS default chain.
    #[must_use]
    pub fn credentials_provider(mut self, provider: SharedCredentialsProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Takes credentials from the identity that an AWS SDK resolves, in place of the AWS default
    /// chain.
    #[must_use]
    pub fn identity<F, Fut>(mut self, identify: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<Identity, BoxError>> + Send + 'static,
    {
        self.identity = Some(Arc::new(move || Box::pin(identify())));
        self
    }

    /// Takes credentials from this profile, even if the environment holds keys; without it the
    /// default chain decides.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Assumes this role with the credentials of the default chain or of the profile.
    #[cfg(feature = "default-chain")]
    #[must_use]
    pub fn assume_role(mut self, role: crate::AssumeRole) -> Self {
        self.role = Some(role);
        self
    }

    /// Sets the source of time; default the machine's wall clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps this many tokens at most; 10,000 by default.
    #[must_use]
    pub fn capacity(mut self, tokens: usize) -> Self {
        self.capacity = Some(tokens);
        self
    }

    /// Limits a load of credentials; 10 s by default, more where it may ask a person for a code.
    #[must_use]
    pub fn load_timeout(mut self, limit: Duration) -> Self {
        self.load_timeout = Some(limit);
        self
    }

    /// Builds the provider; nothing is loaded yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if more than one source is
    /// given, STS would refuse the role's parts, none can be used without the feature
    /// `default-chain`, or the capacity or the load timeout is 0.
    pub fn build(self) -> Result<IamTokenProvider> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let capacity = self.capacity.unwrap_or(10_000);
        if capacity == 0 {
            return Err(Error::configuration("a cache of 0 tokens holds nothing: give at least 1"));
        }
        let limit = self.load_timeout.unwrap_or(LOAD_TIMEOUT);
        if limit.is_zero() {
            return Err(Error::configuration(
                "credentials cannot be loaded within 0 s: give a load more time",
            ));
        }
        let source = source(self.provider, self.identity, self.profile)?;
        #[cfg(feature = "default-chain")]
        let source = match self.role {
            Some(role) => with_role(source, role)?,
            None => source,
        };
        Ok(IamTokenProvider(Arc::new(Inner {
            credentials: CredentialsSource::new(source, Arc::clone(&clock), limit),
            tokens: Cache::with_capacity(Arc::clone(&clock), capacity),
            clock,
            counters: Counters::default(),
        })))
    }
}

fn source(
    provider: Option<SharedCredentialsProvider>,
    identity: Option<Arc<Identify>>,
    profile: Option<String>,
) -> Result<Source> {
    match (provider, identity, profile) {
        (Some(provider), None, None) => Ok(Source::Provider(provider)),
        (None, Some(identity), None) => Ok(Source::Identity(identity)),
        (Some(_), Some(_), _) => Err(Error::configuration(
            "a credentials provider and an identity are given, and one provider of tokens has one source: \
             leave out one",
        )),
        (_, _, Some(_)) if cfg!(not(feature = "default-chain")) => Err(no_chain()),
        #[cfg(feature = "default-chain")]
        (None, None, profile) => Ok(Source::DefaultChain(crate::chain::DefaultChain::new(profile))),
        #[cfg(not(feature = "default-chain"))]
        (None, None, _) => Err(no_chain()),
        (_, _, Some(_)) => Err(Error::configuration(
            "a profile belongs to the AWS default chain, and credentials of your own are given: \
             leave out one",
        )),
    }
}

#[cfg(feature = "default-chain")]
fn with_role(source: Source, role: crate::AssumeRole) -> Result<Source> {
    match source {
        Source::DefaultChain(chain) => chain.with_role(role).map(Source::DefaultChain),
        Source::Identity(_) | Source::Provider(_) => Err(Error::configuration(
            "a role is assumed over the AWS default chain, and credentials of your own are given: leave out \
             one",
        )),
    }
}

fn no_chain() -> Error {
    Error::configuration(
        "no credentials are given, and the AWS default chain is left out: enable the feature `default-chain`",
    )
}

impl fmt::Debug for IamTokenProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamTokenProviderBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}
