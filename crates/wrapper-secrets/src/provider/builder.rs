//! Options.

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

/// How long the service may take, the SDK's own repetitions included.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// When a secret is asked for again, as in the other wrappers of the family.
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

    /// Asks in this region (`secretRegion`); needed unless the secret is named by its ARN.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Asks this URL in place of the region's own endpoint (`secretEndpoint`).
    ///
    /// # Security
    ///
    /// Whoever answers there says who logs in.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Takes user and password from these properties (`secretUsernameProperty`,
    /// `secretPasswordProperty`); by default `username` and `password`.
    #[must_use]
    pub fn properties(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.properties = Properties { user: user.into(), password: password.into() };
        self
    }

    /// Asks for the secret again before it is this old (`secretExpirationSec`); 870 s by default,
    /// 60 s at least.
    #[must_use]
    pub fn renew_after(mut self, age: Duration) -> Self {
        self.renew_after = age;
        self
    }

    /// Takes AWS credentials from here in place of the AWS default chain, such as those of an
    /// [`IamTokenProvider`](wrapper_iam::IamTokenProvider).
    #[must_use]
    pub fn credentials(mut self, source: CredentialsSource) -> Self {
        self.credentials = Some(source);
        self
    }

    /// Takes credentials and options of the AWS SDK from this profile.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Takes the time from elsewhere than the machine's wall clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds the provider; nothing is loaded yet.
    ///
    /// # Errors
    ///
    /// A configuration or region error that names the parameter.
    pub fn build(self) -> Result<SecretProvider> {
        let region = self.region.as_deref().map(Region::parse).transpose().map_err(|error| {
            Error::new(ErrorKind::Region, format!("`secretRegion` does not fit: {error}")).with_source(error)
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
            None => machine(self.profile.as_deref())?,
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
            service,
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

fn machine(profile: Option<&str>) -> Result<CredentialsSource> {
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
