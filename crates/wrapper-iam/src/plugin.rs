//! The plugin `iam`: a token as the password.

use std::time::Duration;

use host_pattern::{Endpoint, Region};
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Needs, Next, Opening, Password, Phase, Plugin,
    Result, ServerName,
};

use crate::{
    IamTokens, TokenTarget,
    refusal::{Refusal, Retry},
    target,
    tokens::{TOKEN_LIFE, TokenLease},
};

/// A token that a server accepted within this time is not stale when it is refused: RDS throttles by refusing, and a retry would
/// double the storm.
const ACCEPTED_LATELY: Duration = Duration::from_secs(60);

/// Says what the tokens of a connector are signed for, where that is not what it connects to.
#[derive(Clone, Debug)]
pub struct IamSettings {
    host: Option<Endpoint>,
    port: Option<u16>,
    region: Option<Region>,
    max_age: Duration,
}

impl Default for IamSettings {
    fn default() -> Self {
        Self { host: None, port: None, region: None, max_age: TOKEN_LIFE }
    }
}

impl IamSettings {
    /// Signs for this endpoint, whatever host is dialled (`iamHost`).
    #[must_use]
    pub fn with_host(mut self, host: Endpoint) -> Self {
        self.host = Some(host);
        self
    }

    /// Signs for this port, whatever port is dialled (`iamDefaultPort`).
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Signs for this region, whatever the name says (`iamRegion`).
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
}

/// Gives every connect a token as its password, over verified TLS only.
///
/// A refused token that came from the cache is tried once more with a new one, unless a server accepted it within the last minute.
#[derive(Debug)]
pub struct IamPlugin {
    tokens: IamTokens,
    settings: IamSettings,
}

impl IamPlugin {
    /// The code that names the plugin.
    pub const CODE: &'static str = "iam";

    /// A plugin that takes its tokens from the given ones.
    pub fn new(tokens: IamTokens, settings: IamSettings) -> Self {
        Self { tokens, settings }
    }

    /// The tokens that the plugin gives, for [`IamTokens::stats`]; a connector's `plugin::<IamPlugin>()` finds the plugin.
    pub fn tokens(&self) -> &IamTokens {
        &self.tokens
    }

    /// Says what the token for a request is signed for.
    fn target(&self, request: &ConnectRequest) -> Result<TokenTarget> {
        let endpoint = self.endpoint(request)?;
        let port = self.settings.port.unwrap_or(request.port());
        let region = self.settings.region.as_ref().map(Region::as_str);
        TokenTarget::of(&endpoint, port, request.user(), region)
    }

    fn endpoint(&self, request: &ConnectRequest) -> Result<Endpoint> {
        let own = target::endpoint(request.host());
        match (&self.settings.host, request.instance()) {
            // The instance behind a custom domain has its real name in the domain of the configured one.
            (Some(host), Some(instance)) if own.is_err() => {
                let real = host.instance_pattern().and_then(|pattern| pattern.host(instance).ok());
                real.and_then(|real| Endpoint::parse(&real).ok()).ok_or_else(|| {
                    let message =
                        format!("`iamHost` `{host}` does not tell the real name of instance `{instance}`");
                    Error::new(ErrorKind::Host, message)
                })
            }
            (Some(host), None) if request.is_configured_host() => Ok(host.clone()),
            _ => own.map_err(|error| {
                let message = format!(
                    "{error}; set `iamHost` to the endpoint's own name to connect through `{}`",
                    request.host()
                );
                error.with_message(message)
            }),
        }
    }

    fn check_server_name(&self, request: &ConnectRequest, target: &TokenTarget) -> Result<()> {
        let Some(name) = request.server_name().filter(|name| !name.is_chosen_in_code()) else {
            return Ok(());
        };
        let domain = |name: &str| Endpoint::parse(name).ok()?.domain().map(str::to_owned);
        let is_same = name.as_str().trim_end_matches('.').eq_ignore_ascii_case(target.host());
        let is_near = domain(name.as_str()).is_some_and(|near| Some(near) == domain(target.host()));
        if is_same || is_near {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "`tlsServerName` `{}` lies outside the domain of `{}`, for which the token is signed: a configuration may not send the token elsewhere, set it in code",
                name.as_str(),
                target.host()
            ),
        ))
    }

    fn request(&self, request: &ConnectRequest, target: &TokenTarget, token: &TokenLease) -> ConnectRequest {
        let token = token.value();
        let password = Password::verified_tls_only(token.expose()).with_good_until(token.expires_at());
        let request = request.clone().with_password(password);
        match request.server_name() {
            Some(_) => request,
            None => request.with_server_name(ServerName::from_code(target.host())),
        }
    }

    async fn connect<C: Send + 'static>(
        &self,
        request: ConnectRequest,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        let target = self.target(&request)?;
        request.progress().enter(Phase::Credentials);
        let first = self.tokens.lease(&target, self.settings.max_age).await?;
        let refused = match self.attempt(&request, &target, &first, next).await {
            Err(error) if error.is_login() => error,
            done => return done,
        };
        let second = match self.second(&target, &first, &refused).await {
            Ok(second) => second,
            Err(retry) => return Err(self.refusal(&request, &target, &first, retry).explain(&refused)),
        };
        self.tokens.counters().retries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tracing::info!(host = target.host(), "cached token refused, trying once more with a new one");
        match self.attempt(&request, &target, &second, next).await {
            Err(error) if error.is_login() => {
                Err(self.refusal(&request, &target, &second, Retry::Refused).explain(&error))
            }
            done => done,
        }
    }

    async fn attempt<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        target: &TokenTarget,
        token: &TokenLease,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        let outcome = next.run(self.request(request, target, token)).await;
        match &outcome {
            Ok(_) => {
                let now = self.tokens.clock().now();
                token.accepted(now);
                self.tokens.counters().accepted(now);
            }
            Err(error) => {
                self.tokens.counters().failed(error);
                if error.is_login() {
                    self.tokens.reject(target, token);
                }
            }
        }
        outcome
    }

    /// Decides whether a refused login is worth another token, and gets it.
    async fn second(
        &self,
        target: &TokenTarget,
        first: &TokenLease,
        refused: &Error,
    ) -> std::result::Result<TokenLease, Retry> {
        if !refused.may_be_stale_password() || first.is_fresh() {
            return Err(Retry::Useless);
        }
        let now = self.tokens.clock().now();
        let since = first.last_accepted().map(|accepted| now.duration_since(accepted).unwrap_or_default());
        if since.is_some_and(|since| since <= ACCEPTED_LATELY) {
            return Err(Retry::AcceptedLately);
        }
        match self.tokens.lease_anew(target, self.settings.max_age).await {
            Ok(second) if second.value().expose() == first.value().expose() => Err(Retry::Useless),
            Ok(second) => Ok(second),
            Err(error) => Err(Retry::Impossible(error)),
        }
    }

    fn refusal<'a>(
        &'a self,
        request: &'a ConnectRequest,
        target: &'a TokenTarget,
        token: &'a TokenLease,
        retry: Retry,
    ) -> Refusal<'a> {
        Refusal { request, target, token, retry, now: self.tokens.clock().now() }
    }
}

impl<C: Send + 'static> Plugin<C> for IamPlugin {
    fn code(&self) -> &str {
        Self::CODE
    }

    fn needs(&self) -> Needs {
        Needs::TOKEN
    }

    fn check(&self, request: &ConnectRequest) -> Result<()> {
        let target = self.target(request)?;
        let named = self.endpoint(request)?;
        if let Some(region) = named.region().filter(|region| *region != target.region()) {
            tracing::warn!(
                host = target.host(),
                region = target.region(),
                "`iamRegion` differs from the region {region} in the name: the token is signed for `iamRegion`"
            );
        }
        self.check_server_name(request, &target)
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(IamPlugin::connect(self, request, next))
    }

    fn warm_up<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.tokens.warm_up(&self.target(request)?).await.map(drop) })
    }
}

#[cfg(test)]
mod tests;
