//! The plugin `iam`: a token as the password.

use std::time::{Duration, SystemTime};

use host_pattern::Endpoint;
use iam_token_provider::{AfterRefusal, IamToken, IamTokenProvider, Listening, Stats, TokenRequest};
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Events, Next, Opening, Password, Plugin,
    Requirements, Result, ServerName,
    adapter::Phase,
    stats::{Stats as ConnectorStats, TargetCounters},
};

use crate::{
    IamSettings, connect_error, explain_tls,
    refusal::{Refusal, RefusedKeys, Retry},
    retry,
    targets::{Target, Targets},
    tell_of_credentials,
};

/// A token accepted this recently is not stale when it is refused: RDS throttles by refusing, and a
/// retry would double the load.
const RECENTLY_ACCEPTED: Duration = Duration::from_secs(60);

/// Gives every connect a token as its password, over verified TLS only.
///
/// After a refusal, credentials older than 30 s are reloaded. If their key has changed, the login
/// is retried once; otherwise only if the token came from the cache and no server accepted it
/// within the last minute.
#[derive(Debug)]
pub struct IamPlugin {
    tokens: IamTokenProvider,
    settings: IamSettings,
    targets: Targets,
    counters: TargetCounters,
    _listening: Option<[Listening; 2]>,
}

impl IamPlugin {
    /// The code that names the plugin.
    pub const CODE: &'static str = "iam";

    /// Creates a plugin that takes its tokens from the given provider.
    pub fn new(tokens: IamTokenProvider, settings: IamSettings) -> Self {
        let (targets, counters) = (Targets::default(), TargetCounters::default());
        Self { tokens, settings, targets, counters, _listening: None }
    }

    /// Notifies these listeners of loaded credentials for as long as the plugin lives.
    #[must_use]
    pub fn with_events(mut self, events: &Events) -> Self {
        self._listening = tell_of_credentials(&self.tokens, events);
        self
    }

    /// Returns the counters of its provider; a connector's `plugin::<IamPlugin>()` finds the
    /// plugin.
    pub fn stats(&self) -> Stats {
        self.tokens.stats()
    }

    /// Returns the provider of its tokens.
    pub fn tokens(&self) -> &IamTokenProvider {
        &self.tokens
    }

    fn check_server_name(&self, request: &ConnectRequest, target: &TokenRequest) -> Result<()> {
        let Some(name) = request.server_name().filter(|name| !name.is_trusted()) else {
            return Ok(());
        };
        let domain = |name: &str| Endpoint::parse(name).ok()?.domain().map(str::to_owned);
        let is_same = name.as_str().trim_end_matches('.').eq_ignore_ascii_case(target.host());
        // One domain is one account and region of RDS, so the token stays with the same owner.
        let is_near = domain(name.as_str()).is_some_and(|near| Some(near) == domain(target.host()));
        if is_same || is_near {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "`tlsServerName` `{}` lies outside the domain of `{}`, which the token is signed for: set it \
                 in code, a configuration must not send the token to another domain",
                name.as_str(),
                target.host()
            ),
        ))
    }

    fn request(&self, request: &ConnectRequest, target: &Target, token: &IamToken) -> Result<ConnectRequest> {
        // A pool learns from the token's end for how long a copy of this request can log in.
        let password = Password::verified_tls_only(token.expose()).with_good_until(token.expires_at());
        let request = request.clone().with_password(password);
        if request.server_name().is_some() {
            return Ok(request);
        }
        Ok(match target.server_name.clone()? {
            Some(name) => request.with_server_name(name),
            None => request,
        })
    }

    async fn connect<C: Send + 'static>(
        &self,
        request: ConnectRequest,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        let outcome = self.log_in_repeatedly(&request, next).await;
        request.progress().login_ended();
        outcome
    }

    async fn log_in_repeatedly<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        let target = self.targets.of(&self.settings, request)?;
        let clock = self.tokens.clock();
        let started_at = clock.now();
        // Outlives the attempts: a key that was replaced between two of them is a fact for the
        // error.
        let mut keys = RefusedKeys::default();
        loop {
            let refused = match self.log_in(request, &target, &mut keys, next).await {
                // Only here may a later attempt end differently; every other error is final.
                Err(error) if error.may_be_stale_password() => error,
                // The final error of a refused login names that one itself.
                Err(error) if error.is_login() => return Err(error),
                done => return done.map_err(|error| request.after_refusal(error)),
            };
            let now = clock.now();
            let next_at = retry::next_at(started_at, now, self.settings.login_retry_timeout);
            // The refusal says more than a deadline that comes within the pause.
            let fits = |at: &SystemTime| request.has_time_for(at.duration_since(now).unwrap_or_default());
            let Some(next_at) = next_at.filter(fits) else { return Err(refused) };
            request.progress().refused(refused);
            clock.sleep_until(next_at).await;
        }
    }

    /// Logs in with a token, and retries once with another where that may help.
    async fn log_in<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        target: &Target,
        keys: &mut RefusedKeys,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        // A deadline from here on blames the source of credentials, not the server.
        request.progress().enter(Phase::Credentials);
        let first = self.token(&target.token).await?;
        let refused = match self.attempt(request, target, &first, next).await {
            Err(error) if error.is_login() => error,
            done => return done,
        };
        // Boxed: a future has room for its largest part in every connect, and this is rare.
        Box::pin(self.log_in_again(request, target, keys, next, (first, refused))).await
    }

    /// Logs in after a refusal, if another token may help.
    async fn log_in_again<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        target: &Target,
        keys: &mut RefusedKeys,
        next: Next<'_, C>,
        (first, refused): (IamToken, Error),
    ) -> Result<Connected<C>> {
        keys.note(&first);
        let is_repeated = self.refusal(request, &target.token, &first, keys, Retry::Pointless);
        request.progress().refused(is_repeated.explain(&refused));
        request.progress().enter(Phase::Credentials);
        let second = match self.second(&target.token, &first, &refused).await {
            Ok(second) => second,
            Err(retry) => {
                return Err(self.refusal(request, &target.token, &first, keys, retry).explain(&refused));
            }
        };
        self.tokens.report_retried();
        self.counters.count(request, |target| target.retries += 1);
        tracing::debug!(host = target.token.host(), "token refused, retrying with a new one");
        match self.attempt(request, target, &second, next).await {
            Err(error) if error.is_login() => {
                // Not reported as refused: the credentials were checked a moment ago, before this
                // token.
                self.tokens.discard(&second);
                keys.note(&second);
                Err(self.refusal(request, &target.token, &second, keys, Retry::Refused).explain(&error))
            }
            done => done,
        }
    }

    async fn token(&self, target: &TokenRequest) -> Result<IamToken> {
        let token = self.tokens.token_within(target, self.settings.max_age).await;
        token.map_err(|error| connect_error(&error))
    }

    async fn attempt<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        target: &Target,
        token: &IamToken,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        self.counters.count(request, |target| match token.is_fresh() {
            true => target.signed += 1,
            false => target.hits += 1,
        });
        let with_token = self.request(request, target, token)?;
        let server_name = with_token.server_name().cloned();
        let tls_name = || server_name.as_ref().map_or(request.host(), ServerName::as_str);
        // Dropped here, the attempt is reported neither as accepted nor as refused.
        let outcome = next.run(with_token).await.map_err(|error| explain_tls(error, tls_name()));
        match &outcome {
            Ok(_) => self.tokens.report_accepted(token),
            // Says nothing about the token, which stays in the cache.
            Err(error) if error.is_throttled() => self.tokens.report_throttled(),
            Err(_) => {}
        }
        outcome
    }

    /// Discards a refused token and returns another if a retry is worth it.
    ///
    /// The age of the credentials decides, not the token's: after a rotation every new token is
    /// signed with the revoked key and looks fresh.
    async fn second(
        &self,
        target: &TokenRequest,
        first: &IamToken,
        refused: &Error,
    ) -> std::result::Result<IamToken, Retry> {
        if !refused.may_be_stale_password() {
            self.tokens.discard(first);
            return Err(Retry::Pointless);
        }
        match self.tokens.after_refusal(first).await {
            // This look-up also discards any cached token of the former key.
            AfterRefusal::NewKey => return self.token(target).await.map_err(Retry::Unavailable),
            AfterRefusal::Failed(error) => return Err(Retry::Unavailable(connect_error(&error))),
            _ => {}
        }
        // Signed for this attempt with the same key: another one would be refused as well.
        if first.is_fresh() {
            return Err(Retry::Pointless);
        }
        let now = self.tokens.clock().now();
        // An absolute difference: a clock set back must not make an old acceptance recent.
        let since = |accepted| now.duration_since(accepted).unwrap_or_else(|error| error.duration());
        if first.last_accepted().is_some_and(|accepted| since(accepted) <= RECENTLY_ACCEPTED) {
            return Err(Retry::RecentlyAccepted);
        }
        match self.token(target).await {
            // Signed within the same second, so the text is the same.
            Ok(second) if second.expose() == first.expose() => Err(Retry::Pointless),
            Ok(second) => Ok(second),
            Err(error) => Err(Retry::Unavailable(error)),
        }
    }

    fn refusal<'a>(
        &'a self,
        request: &'a ConnectRequest,
        target: &'a TokenRequest,
        token: &'a IamToken,
        keys: &'a RefusedKeys,
        retry: Retry,
    ) -> Refusal<'a> {
        let (has_many_logins, now) = (self.tokens.has_many_logins(), self.tokens.clock().now());
        Refusal { request, target, token, former_key: keys.former(), retry, has_many_logins, now }
    }
}

impl<C: Send + 'static> Plugin<C> for IamPlugin {
    fn code(&self) -> &str {
        Self::CODE
    }

    fn requirements(&self) -> Requirements {
        Requirements::TOKEN
    }

    fn check(&self, request: &ConnectRequest) -> Result<()> {
        let target = self.settings.target(request)?;
        if self.settings.trusted(request.host()).is_some() {
            return self.check_server_name(request, &target);
        }
        let named = self.settings.endpoint(request)?;
        if let Some(region) = named.region().filter(|region| *region != target.region()) {
            tracing::warn!(
                host = target.host(),
                region = target.region(),
                "`iamRegion` differs from the region {region} in the name: the token is signed for \
                 `iamRegion`"
            );
        }
        self.check_server_name(request, &target)
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(IamPlugin::connect(self, request, next))
    }

    fn add_stats(&self, stats: &mut ConnectorStats) {
        let own = self.tokens.stats();
        stats.hits += own.hits;
        stats.misses += own.misses;
        stats.renewals_failed += own.renewals_failed;
        stats.retries += own.retries;
        stats.signed += own.signed;
        stats.waits += own.waits;
        self.counters.add_to(stats);
    }

    fn warm_up<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.tokens.warm_up(&self.settings.target(request)?).await.map_err(|error| connect_error(&error))
        })
    }
}

#[cfg(test)]
mod tests;
