//! What the tokens of a connector are signed for.

use std::time::Duration;

use host_pattern::{Endpoint, Region};
use iam_token_provider::TokenRequest;
use wrapper_core::{ConnectRequest, Error, ErrorKind, Result, text::bracketed};

use crate::{
    connect_error,
    request::{self, explained},
};

/// The lifetime of a token at RDS, and the default limit of its reuse:
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// The host, port and region that a connector's tokens are signed for, where they differ from the
/// dialled ones.
#[derive(Clone, Debug)]
pub struct IamSettings {
    host: Option<Endpoint>,
    port: Option<u16>,
    region: Option<Region>,
    pub(crate) max_age: Duration,
    pub(crate) login_retry_timeout: Duration,
    /// Hosts outside RDS's naming, with the regions to sign for.
    trusted: Vec<(String, Region)>,
}

impl Default for IamSettings {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            region: None,
            max_age: TOKEN_LIFE,
            login_retry_timeout: Duration::ZERO,
            trusted: Vec::new(),
        }
    }
}

impl IamSettings {
    /// Signs for this endpoint instead of the dialled host (`iamHost`).
    #[must_use]
    pub fn with_host(mut self, host: Endpoint) -> Self {
        self.host = Some(host);
        self
    }

    /// Signs for this port instead of the dialled one (`iamDefaultPort`).
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Signs for this region instead of the one in the name (`iamRegion`).
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Reuses a token for this long at most (`iamTokenExpiration`); zero signs for every connect.
    #[must_use]
    pub fn with_token_expiration(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Retries a refused login for this long if a new token may help (`iamLoginRetryTimeoutMs`);
    /// zero disables it.
    #[must_use]
    pub fn with_login_retry_timeout(mut self, timeout: Duration) -> Self {
        self.login_retry_timeout = timeout;
        self
    }

    /// Signs tokens for this host in this region although its name is not an RDS endpoint, such as
    /// that of an emulator.
    ///
    /// # Security
    ///
    /// The server at that host receives a token of your credentials, so no connection string can
    /// set it.
    #[must_use]
    pub fn with_trusted_host(mut self, host: impl Into<String>, region: Region) -> Self {
        self.trusted.push((host.into(), region));
        self
    }

    /// Returns how long a token is reused at most.
    pub fn token_expiration(&self) -> Duration {
        self.max_age
    }

    /// Returns the request that a connect's token is signed for.
    ///
    /// # Errors
    ///
    /// A host, region or configuration error that names the parameter to set.
    pub fn target(&self, request: &ConnectRequest) -> Result<TokenRequest> {
        let port = self.port.unwrap_or(request.port());
        // First, since such a name need not pass the checks of endpoints below.
        if let Some(region) = self.trusted(request.host()) {
            let target = TokenRequest::rds_at_any_host(request.host(), port, request.user(), region.as_str());
            return target.map_err(|error| connect_error(&error));
        }
        let endpoint = self.endpoint(request)?;
        let region = self.region.as_ref();
        TokenRequest::endpoint(&endpoint, port, request.user(), region)
            .map_err(|error| explained(&error, endpoint.as_str(), region.is_some()))
    }

    pub(crate) fn endpoint(&self, request: &ConnectRequest) -> Result<Endpoint> {
        let own = request::endpoint(request.host());
        match (&self.host, request.instance()) {
            // Behind a custom domain, the instance's own name lies in the domain of the configured
            // endpoint.
            (Some(host), Some(instance)) if own.is_err() => {
                let real = host.instance_pattern().and_then(|pattern| pattern.host(instance).ok());
                real.and_then(|real| Endpoint::parse(&real).ok()).ok_or_else(|| {
                    let message =
                        format!("`iamHost` `{host}` does not determine the name of instance `{instance}`");
                    Error::new(ErrorKind::Host, message)
                })
            }
            // Not for a host that a plugin has led to, which is signed for by its own name.
            (Some(host), None) if request.is_configured_host() => Ok(host.clone()),
            _ => own.map_err(|error| {
                let message = format!(
                    "{error}; set `iamHost` to the endpoint's own name to connect through `{}`",
                    bracketed(request.host())
                );
                error.with_message(message)
            }),
        }
    }

    pub(crate) fn trusted(&self, host: &str) -> Option<&Region> {
        let is_it = |(trusted, _): &&(String, Region)| trusted.eq_ignore_ascii_case(host);
        self.trusted.iter().find(is_it).map(|(_, region)| region)
    }
}
