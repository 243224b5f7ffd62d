//! The builder of a provider.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use host_pattern::Region;
use iam_token_provider::CredentialsSource;
use token_cache::{Clock, Renewing, SystemClock};
use wrapper_core::{Error, ErrorKind, Result};
use wrapper_iam::{IamTokenProvider, connect_error};

use super::{Inner, SecretProvider};
use crate::{rotation::Steps, secret::Properties, secret_id::SecretId, service::Service, stats::Counters};

/// How long a load may take, including the SDK's retries.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The age by which a secret is renewed, the same as in the other AWS wrappers.
const RENEW_AFTER: Duration = Duration::from_secs(870);
const LEAST_RENEW_AFTER: Duration = Duration::from_secs(60);

/// Builds a [`SecretProvider`].
pub struct SecretProviderBuilder {
    secret_id: String,
    region: Option<String>,
    endpoint: Option<String>,
    properties: Properties,
    renew_after: Duration,
    credentials: Option<CredentialsSource>,
    profile: Option<String>,
    clock: Option<Arc<dyn Clock>>,
}

impl SecretProviderBuilder {
    pub(super) fn new(secret_id: String) -> Self {
        Self {
            secret_id,
            region: None,
            endpoint: None,
            properties: Properties::default(),
            renew_after: RENEW_AFTER,
            credentials: None,
            profile: None,
            clock: None,
        }
    }

    /// Sets the region of the secret (`secretRegion`); needed unless the secret is named by its
    /// ARN.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the URL of the service, instead of the region's endpoint (`secretEndpoint`).
    ///
    /// # Security
    ///
    /// The server at this URL decides which user logs in.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the properties that hold user and password (`secretUsernameProperty`,
    /// `secretPasswordProperty`); `username` and `password` by default.
    #[must_use]
    pub fn properties(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.properties = Properties { user: user.into(), password: password.into() };
        self
    }

    /// Sets the age by which the secret is renewed (`secretExpirationSec`); 870 s by default,
    /// at least 60 s.
    #[must_use]
    pub fn renew_after(mut self, age: Duration) -> Self {
        self.renew_after = age;
        self
    }

    /// Sets the AWS credentials, instead of the AWS default chain, such as those of an
    /// [`IamTokenProvider`](wrapper_iam::IamTokenProvider).
    #[must_use]
    pub fn credentials(mut self, source: CredentialsSource) -> Self {
        self.credentials = Some(source);
        self
    }

    /// Sets the profile for credentials and options of the AWS SDK.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Sets the clock; the system clock by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds the provider, without loading the secret.
    ///
    /// # Errors
    ///
    /// A configuration or region error that names the parameter.
    pub fn build(self) -> Result<SecretProvider> {
        let region = self.region.as_deref().map(Region::parse).transpose().map_err(|error| {
            Error::new(ErrorKind::Region, format!("invalid `secretRegion`: {error}")).with_source(error)
        })?;
        let id = SecretId::parse(&self.secret_id, region)?;
        if self.renew_after < LEAST_RENEW_AFTER {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a secret is renewed after 60 s at the earliest: Secrets Manager limits calls",
            ));
        }
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => default_chain(self.profile.as_deref())?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let service = Service {
            id,
            properties: self.properties,
            endpoint: self.endpoint,
            profile: self.profile,
            credentials,
        };
        Ok(SecretProvider(Arc::new(Inner {
            service: Arc::new(service),
            renew_after: self.renew_after,
            cell: Renewing::new(Arc::clone(&clock), LOAD_TIMEOUT),
            clock,
            steps: Steps::default(),
            counters: Counters::default(),
            last: Mutex::new(None),
            listeners: Mutex::default(),
        })))
    }
}

/// Returns the credentials of the AWS default chain or of a profile.
fn default_chain(profile: Option<&str>) -> Result<CredentialsSource> {
    let builder = IamTokenProvider::builder();
    let builder = match profile {
        Some(profile) => builder.profile(profile),
        None => builder,
    };
    builder.build().map(|tokens| tokens.credentials()).map_err(|error| connect_error(&error))
}

impl fmt::Debug for SecretProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretProviderBuilder").field("region", &self.region).finish_non_exhaustive()
    }
}
