//! Tokens on demand, from one source of credentials.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_credential_types::provider::SharedCredentialsProvider;
use iam_token::{AuthToken, Signer};
use token_cache::{Cache, Clock, Epoch, Expiring, FetchError, Lease, Renewing, SystemClock};
use wrapper_core::{CredentialsFailure, Error, Result};

use crate::{
    TokenTarget,
    credentials::{Source, failed},
    stats::{Counters, Stats},
};

/// The life that RDS gives a token, and the default bound of its reuse:
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long a source of credentials may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Credentials younger than this are not loaded anew because of a refused login.
const JUST_LOADED: Duration = Duration::from_secs(30);

/// Gives fresh tokens of one source of credentials; clones share the source and the cache.
///
/// A token is signed when it is first asked for and handed out again until a minute before its end, which is 15 minutes after its
/// signature or the end of the credentials, whatever comes first. The credentials are loaded once for all who
/// wait, and renewed ahead beside those who use them. Two sources never share a token: they are two `IamTokens`.
#[derive(Clone)]
pub struct IamTokens(Arc<Inner>);

struct Inner {
    source: Source,
    clock: Arc<dyn Clock>,
    credentials: Renewing<Signer, Error>,
    tokens: Cache<TokenTarget, AuthToken>,
    counters: Counters,
}

/// A token that was handed out, with what the retry rule needs to know of it.
pub(crate) type TokenLease = Lease<AuthToken>;

impl IamTokens {
    /// Tokens of the AWS default chain, which is built at the first use.
    ///
    /// # Errors
    ///
    /// None today; building is fallible like every builder's.
    #[cfg(feature = "default-chain")]
    pub fn from_default_chain() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts to build tokens.
    pub fn builder() -> IamTokensBuilder {
        IamTokensBuilder::default()
    }

    /// A token for an RDS, Aurora or DSQL endpoint whose name tells its region.
    ///
    /// # Errors
    ///
    /// As [`TokenTarget::new`] and [`token`](Self::token).
    pub async fn rds(&self, host: &str, port: u16, user: &str) -> Result<AuthToken> {
        self.token(&TokenTarget::new(host, port, user)?).await
    }

    /// A token for a target, good for a minute at least where the credentials are.
    ///
    /// # Errors
    ///
    /// A credentials error if there are none; a token error if they cannot sign.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: others who wait for the same credentials drive the one call on.
    pub async fn token(&self, target: &TokenTarget) -> Result<AuthToken> {
        self.token_within(target, TOKEN_LIFE).await
    }

    /// The same, signed within the last `max_age`; zero signs anew.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn token_within(&self, target: &TokenTarget, max_age: Duration) -> Result<AuthToken> {
        self.lease(target, max_age).await.map(|lease| lease.value().clone())
    }

    /// Loads credentials and signs a token without connecting, at start-up or in a readiness check.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn warm_up(&self, target: &TokenTarget) -> Result<()> {
        self.lease(target, TOKEN_LIFE).await.map(drop)
    }

    /// Forgets all tokens and credentials; what is being loaded at this moment is not kept either.
    pub fn clear(&self) {
        // In this order: what is signed with credentials of the old epoch belongs to an old epoch of tokens too.
        self.0.credentials.clear();
        self.0.tokens.clear();
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot(self.0.tokens.stats(), self.0.credentials.stats())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The clock by which tokens and credentials age.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// A token that is reused for `max_age` at most.
    pub(crate) async fn lease(&self, target: &TokenTarget, max_age: Duration) -> Result<TokenLease> {
        let usable = if max_age.is_zero() { None } else { self.0.tokens.get(target, max_age) };
        if let Some(lease) = usable {
            self.event(target, &lease, "cached");
            return Ok(lease);
        }
        self.0.counters.misses.fetch_add(1, Ordering::Relaxed);
        let epoch = self.0.tokens.epoch();
        let credentials = self.credentials().await?;
        self.sign(epoch, target, max_age, &credentials)
    }

    /// A token signed with credentials that were loaded after the refused one was, or a moment before.
    ///
    /// All whose token was refused share one load and one signature.
    pub(crate) async fn lease_anew(&self, target: &TokenTarget, max_age: Duration) -> Result<TokenLease> {
        let epoch = self.0.tokens.epoch();
        let mut credentials = self.credentials().await?;
        let age = self.0.clock.now().duration_since(credentials.issued_at()).unwrap_or_default();
        if age > JUST_LOADED {
            let load = self.load();
            let refetched = self.0.credentials.refetch(&credentials, load).await;
            credentials = refetched.map_err(fetch_error)?;
        }
        let lease = self.sign(epoch, target, max_age, &credentials)?;
        if lease.value().access_key_id() == credentials.value().access_key_id() {
            return Ok(lease);
        }
        // Another task put a token there that it had signed with the former credentials.
        self.reject(target, &lease);
        self.sign(epoch, target, max_age, &credentials)
    }

    async fn credentials(&self) -> Result<Lease<Signer>> {
        let fetched = self.0.credentials.get(self.load()).await;
        let (lease, renewal) = fetched.map_err(fetch_error)?;
        if let Some(renewal) = renewal {
            let renew = async move {
                if let Err(error) = renewal.run().await.map_err(fetch_error) {
                    tracing::warn!(%error, "credentials not renewed, the living ones go on serving");
                }
            };
            // Without a runtime nothing runs beside; the credentials are then reloaded when their end is near.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(renew);
            }
        }
        Ok(lease)
    }

    fn load(
        &self,
    ) -> impl FnOnce() -> wrapper_core::BoxFuture<'static, Result<Expiring<Signer>>> + Send + 'static {
        let (source, clock) = (self.0.source.clone(), Arc::clone(&self.0.clock));
        move || Box::pin(source.load(clock))
    }

    /// Drops a refused token.
    pub(crate) fn reject(&self, target: &TokenTarget, token: &TokenLease) {
        self.0.tokens.invalidate(target, token);
    }

    fn sign(
        &self,
        epoch: Epoch,
        target: &TokenTarget,
        max_age: Duration,
        credentials: &Lease<Signer>,
    ) -> Result<TokenLease> {
        let lease = self.0.tokens.get_or_insert_in(epoch, target, max_age, || {
            let token = target.sign(credentials.value(), self.0.clock.now())?;
            let (signed_at, expires_at) = (token.signed_at(), token.expires_at());
            Ok(Expiring::new(token, signed_at, expires_at))
        })?;
        self.event(target, &lease, "signed");
        Ok(lease)
    }

    fn event(&self, target: &TokenTarget, lease: &TokenLease, how: &'static str) {
        let age_s = self.0.clock.now().duration_since(lease.issued_at()).unwrap_or_default().as_secs();
        tracing::debug!(token = how, age_s, host = target.host(), region = target.region(), "token at hand");
    }
}

fn fetch_error(error: FetchError<Error>) -> Error {
    match error {
        FetchError::Failed(error) => error,
        FetchError::TimedOut(limit) => failed(
            CredentialsFailure::TimedOut,
            format!(
                "the source of aws credentials gave no answer within {limit:?}: check that it can be reached"
            ),
        ),
        FetchError::Expired(_) => failed(
            CredentialsFailure::Expired,
            "the credentials that the source gave have already expired: renew the session, and check the clock",
        ),
        FetchError::Panicked => failed(
            CredentialsFailure::Failed,
            "the source of aws credentials panicked, as the aws sdk does where a machine trusts no certificate authority: install ca-certificates",
        ),
        FetchError::NoTimer => failed(
            CredentialsFailure::Failed,
            "aws credentials need a tokio runtime with time enabled: build it with enable_all",
        ),
        error => {
            failed(CredentialsFailure::Failed, "the aws credentials could not be renewed").with_source(error)
        }
    }
}

impl fmt::Debug for IamTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamTokens").field("source", &self.0.source).finish_non_exhaustive()
    }
}

/// Builds [`IamTokens`].
#[derive(Default)]
pub struct IamTokensBuilder {
    provider: Option<SharedCredentialsProvider>,
    profile: Option<String>,
    clock: Option<Arc<dyn Clock>>,
    capacity: Option<usize>,
}

impl IamTokensBuilder {
    /// Takes credentials from a provider in place of the AWS default chain.
    #[must_use]
    pub fn credentials_provider(mut self, provider: SharedCredentialsProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Takes credentials from this profile, whatever keys the environment holds; without it the default chain decides.
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

    /// Keeps this many tokens at most; 10,000 by default.
    #[must_use]
    pub fn capacity(mut self, tokens: usize) -> Self {
        self.capacity = Some(tokens);
        self
    }

    /// Builds the tokens; nothing is loaded yet.
    ///
    /// # Errors
    ///
    /// A configuration error if both a provider and a profile are given, neither can be used without the feature
    /// `default-chain`, or the capacity is 0.
    pub fn build(self) -> Result<IamTokens> {
        let source = source(self.provider, self.profile)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let capacity = self.capacity.unwrap_or(10_000);
        if capacity == 0 {
            return Err(configuration("a cache of 0 tokens holds nothing: give at least 1"));
        }
        Ok(IamTokens(Arc::new(Inner {
            source,
            credentials: Renewing::new(Arc::clone(&clock), FETCH_TIMEOUT),
            tokens: Cache::with_capacity(Arc::clone(&clock), capacity),
            clock,
            counters: Counters::default(),
        })))
    }
}

fn source(provider: Option<SharedCredentialsProvider>, profile: Option<String>) -> Result<Source> {
    match (provider, profile) {
        (Some(_), Some(_)) => Err(configuration(
            "a profile belongs to the aws default chain, and a credentials provider is given: leave out one",
        )),
        (Some(provider), None) => Ok(Source::Provider(provider)),
        #[cfg(feature = "default-chain")]
        (None, profile) => Ok(Source::DefaultChain(Arc::new(crate::credentials::DefaultChain::new(profile)))),
        #[cfg(not(feature = "default-chain"))]
        (None, _) => Err(configuration(
            "no credentials provider is given, and the aws default chain is left out: enable the feature `default-chain`",
        )),
    }
}

fn configuration(message: &str) -> Error {
    Error::new(wrapper_core::ErrorKind::Configuration, message)
}

impl fmt::Debug for IamTokensBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamTokensBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}
