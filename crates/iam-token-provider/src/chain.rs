//! Credentials of the machine: the AWS default chain or a profile, and a role assumed with them.

mod diagnosis;
mod known_end;
mod role;
mod sdk;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_config::{Region, environment::EnvironmentVariableCredentialsProvider};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};

pub use self::role::AssumeRole;
use self::{diagnosis::Failure, sdk::SdkChain};
use crate::error::{CredentialsFailure, Error, ErrorKind, Result};

/// Credentials of the AWS default chain or of one profile, or of a role assumed with these.
///
/// Nothing is cached: each call goes to the source, as an
/// [`IamTokenProvider`](crate::IamTokenProvider) does for its cell. Clones share what the SDK keeps
/// of the chain.
///
/// Where neither the environment nor the profile names a region, STS and AWS sign-in are asked in
/// the region that is given here. Expiries noted by tools beside static keys are honoured:
/// `AWS_CREDENTIAL_EXPIRATION` in the environment, `aws_session_expiration` and
/// `x_security_token_expires` in a profile.
#[derive(Clone)]
pub struct DefaultChain(Arc<Inner>);

struct Inner {
    profile: Option<String>,
    role: Option<AssumeRole>,
    region: Mutex<Option<String>>,
    kept: Mutex<Option<Arc<SdkChain>>>,
}

impl DefaultChain {
    /// Returns the same chain with a role on top of it.
    pub(crate) fn with_role(&self, role: AssumeRole) -> Result<Self> {
        let builder =
            DefaultChainBuilder { profile: self.0.profile.clone(), ..DefaultChainBuilder::default() };
        builder.assume_role(role).build()
    }

    pub(crate) fn new(profile: Option<String>) -> Self {
        Self::of(DefaultChainBuilder { profile, ..DefaultChainBuilder::default() })
    }

    /// Starts to build a chain.
    pub fn builder() -> DefaultChainBuilder {
        DefaultChainBuilder::default()
    }

    fn of(builder: DefaultChainBuilder) -> Self {
        Self(Arc::new(Inner {
            profile: builder.profile,
            role: builder.role,
            region: Mutex::new(builder.region),
            kept: Mutex::default(),
        }))
    }

    /// Uses `region` for STS and AWS sign-in unless a region was given before.
    pub(crate) fn suggest_region(&self, region: &str) {
        let mut known = self.0.region.lock().unwrap_or_else(PoisonError::into_inner);
        // The first target decides, since the chain is kept across targets.
        known.get_or_insert_with(|| region.to_owned());
    }

    /// Loads credentials.
    ///
    /// The SDK's chain reads the profile files only once. It is therefore kept only while it
    /// returns keys that expire: it then serves the last keys of a machine's role while the
    /// metadata service is down. If a kept chain fails, it is rebuilt once, because the profile may
    /// have been edited.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credentials`], with what to do about it. As a `ProvideCredentials` it gives the
    /// same error as the source of a `CredentialsError`.
    pub async fn load(&self) -> Result<Credentials> {
        // Cloned out of the lock, whose guard must not be held across the await.
        let kept = self.kept().clone();
        if let Some(chain) = kept
            && let Ok(credentials) = chain.provide(now()).await
        {
            return Ok(credentials);
        }
        let loaded = match self.of_environment().await {
            Some(keys) => keys.map(|keys| (keys, None)),
            None => self.of_new_chain().await,
        };
        match loaded {
            Ok((credentials, chain)) => {
                // Of concurrent loads the last one's is kept. The guard ends before the former
                // chain is dropped: its HTTP client is foreign code.
                let former = std::mem::replace(&mut *self.kept(), chain);
                drop(former);
                Ok(credentials)
            }
            Err(failure) => Err(diagnosis::of(failure, self.profile(), now()).await),
        }
    }

    /// Returns the keys of the environment, which the SDK's chain asks first; `None` where it goes
    /// on to its other sources.
    ///
    /// Asked on their own, because building the chain takes milliseconds: it sets up an HTTP client
    /// with the platform's roots.
    async fn of_environment(&self) -> Option<std::result::Result<Credentials, Failure>> {
        if self.0.profile.is_some() || self.0.role.is_some() {
            return None;
        }
        let keys = EnvironmentVariableCredentialsProvider::new().provide_credentials().await.ok()?;
        Some(known_end::apply(keys, None, now()).await)
    }

    /// Returns the credentials of a chain that reads the files anew, and the chain if it is to be
    /// kept.
    async fn of_new_chain(&self) -> std::result::Result<(Credentials, Option<Arc<SdkChain>>), Failure> {
        let chain = SdkChain::new(self.profile(), self.0.role.as_ref(), self.region()).await;
        let credentials = chain.provide(now()).await?;
        let is_kept = known_end::is_renewed(&credentials);
        Ok((credentials, is_kept.then(|| Arc::new(chain))))
    }

    fn profile(&self) -> Option<&str> {
        self.0.profile.as_deref()
    }

    fn region(&self) -> Option<Region> {
        self.0.region.lock().unwrap_or_else(PoisonError::into_inner).clone().map(Region::new)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<SdkChain>>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.load().await.map_err(sdk_error) })
    }
}

fn sdk_error(error: Error) -> CredentialsError {
    match error.kind() {
        // The SDK tries its next provider on this one alone.
        ErrorKind::Credentials(CredentialsFailure::NotConfigured) => CredentialsError::not_loaded(error),
        _ => CredentialsError::provider_error(error),
    }
}

impl fmt::Display for DefaultChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(role) = &self.0.role {
            write!(f, "role {role} over ")?;
        }
        match &self.0.profile {
            Some(profile) => write!(f, "profile `{}`", profile.escape_debug()),
            None => f.write_str("the AWS default chain"),
        }
    }
}

impl fmt::Debug for DefaultChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefaultChain({self})")
    }
}

/// Builds a [`DefaultChain`].
#[derive(Default)]
pub struct DefaultChainBuilder {
    profile: Option<String>,
    role: Option<AssumeRole>,
    region: Option<String>,
}

impl DefaultChainBuilder {
    /// Takes credentials from this profile, even if the environment holds keys. Default: the AWS
    /// default chain.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Assumes a role with the credentials of the chain or profile. Default: none.
    #[must_use]
    pub fn assume_role(mut self, role: AssumeRole) -> Self {
        self.role = Some(role);
        self
    }

    /// Asks STS and AWS sign-in in this region where no other is set, and STS for
    /// [`assume_role`](Self::assume_role) in any case. Default: that of the first target a token is
    /// for.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Builds the chain; nothing is loaded yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a role with parts that STS would refuse.
    pub fn build(self) -> Result<DefaultChain> {
        if let Some(role) = &self.role {
            role.check()?;
        }
        Ok(DefaultChain::of(self))
    }
}

impl fmt::Debug for DefaultChainBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultChainBuilder")
            .field("profile", &self.profile)
            .field("role", &self.role)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the SDK goes by the machine's clock as well")]
fn now() -> SystemTime {
    SystemTime::now()
}
