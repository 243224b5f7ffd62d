//! Tokens on demand, from one source of credentials.

mod builder;

use std::{fmt, sync::Arc, time::Duration};

use iam_token::{AuthToken, Signer};
use token_cache::{Cache, Clock, Epoch, Expiring, Lease};

pub use self::builder::IamTokenProviderBuilder;
use crate::{
    AfterRefusal, CredentialsSource, FailedCredentials, IamToken, Listening, LoadedCredentials, TokenRequest,
    error::Result,
    request::TokenKey,
    stats::{Counters, Stats},
};

/// The longest reuse of a token:
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html>.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// Provides fresh tokens from one source of credentials; clones share the source and the cache.
///
/// A token is signed on first use and reused until a minute before its expiry: 15 minutes after its
/// signature, or with the credentials if they expire earlier. The credentials are loaded once for
/// all waiting callers and renewed in the background ahead of their expiry, also by calls that find
/// a token in the cache. Two sources never share a token: they are two providers.
#[derive(Clone)]
pub struct IamTokenProvider(Arc<Inner>);

struct Inner {
    credentials: CredentialsSource,
    clock: Arc<dyn Clock>,
    tokens: Cache<TokenKey, AuthToken>,
    counters: Counters,
}

impl IamTokenProvider {
    /// Creates a provider on the AWS default chain, which is built on first use.
    ///
    /// # Errors
    ///
    /// None today; building is fallible like every builder's.
    #[cfg(feature = "default-chain")]
    pub fn from_default_chain() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts to build a provider.
    pub fn builder() -> IamTokenProviderBuilder {
        IamTokenProviderBuilder::default()
    }

    /// Returns a token for an RDS, Aurora or DSQL endpoint, in the region of its name.
    ///
    /// # Errors
    ///
    /// As [`TokenRequest::database`] and [`token`](Self::token).
    pub async fn rds(&self, host: &str, port: u16, user: &str) -> Result<IamToken> {
        self.token(&TokenRequest::database(host, port, user)?).await
    }

    /// Returns a token that is valid for at least a minute, if the credentials are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if there are none,
    /// [`ErrorKind::Token`](crate::ErrorKind::Token) if they cannot sign.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the other waiting callers continue the load.
    pub async fn token(&self, request: &TokenRequest) -> Result<IamToken> {
        self.token_within(request, TOKEN_LIFE).await
    }

    /// Returns a token signed within the last `max_age`; zero always signs a new one.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    ///
    /// # Cancel safety
    ///
    /// As [`token`](Self::token).
    pub async fn token_within(&self, request: &TokenRequest, max_age: Duration) -> Result<IamToken> {
        let inner = &*self.0;
        // Their whole life of 60 s lies within the margin in which the cache serves nothing.
        let max_age = if request.is_signed_each_time() { Duration::ZERO } else { max_age };
        // Also if a token is cached: some call must start the renewal of the credentials.
        let unexpired = inner.credentials.unexpired();
        if let Some(token) = self.cached(request, max_age, unexpired.as_ref()) {
            return Ok(token);
        }
        inner.counters.missed();
        inner.credentials.suggest_region(request.region());
        // Read before the credentials: a token signed with credentials from before a `clear` must
        // not be stored after it.
        let epoch = inner.tokens.epoch();
        if let Some(refusal) = inner.credentials.refusals().take(request) {
            // On any outcome the unexpired credentials sign; the failure is reported there.
            drop(inner.credentials.after_refusal(refusal.refused_key()).await);
            refusal.checked();
        }
        // A load that hangs is the cell's: a caller that is dropped here leaves it to the next one.
        let credentials = inner.credentials.get().await?;
        self.sign(epoch, request, max_age, &credentials)
    }

    /// Loads credentials and signs a token without connecting, at start-up or in a readiness check.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn warm_up(&self, request: &TokenRequest) -> Result<()> {
        self.token(request).await.map(drop)
    }

    /// Forgets all tokens and credentials, including those being loaded or signed at this moment.
    pub fn clear(&self) {
        // In this order: tokens of the new epoch are signed with credentials of the new epoch.
        self.0.credentials.clear();
        self.0.tokens.clear();
    }

    /// Notes that a server accepted a token.
    pub fn report_accepted(&self, token: &IamToken) {
        let now = self.0.clock.now();
        token.lease.accepted(now);
        self.0.counters.accepted(now);
        self.0.credentials.refusals().reset();
    }

    /// Discards a token that a server refused; the next call for its request checks the
    /// credentials.
    ///
    /// That call reloads them if they are older than 30 s, since they may have been rotated or
    /// revoked, or older than a minute while the key stays the same. Other calls do not wait for
    /// it.
    pub fn report_refused(&self, token: &IamToken) {
        // Noted first: a call between the two would otherwise sign with the refused key, and leave
        // a token that later calls take without a check.
        self.0.credentials.refusals().note(token.request(), token.access_key_id());
        self.discard(token);
    }

    /// Discards a token that a server refused for a reason that no other token would change.
    pub fn discard(&self, token: &IamToken) {
        self.0.counters.refused(self.0.clock.now());
        self.0.tokens.invalidate(token.request().key(), &token.lease);
    }

    /// Discards a token that a server refused, and returns whether another login is worth trying.
    ///
    /// Credentials older than 30 s are reloaded, once for all refused callers. While the key stays
    /// the same, the limit is a minute, or five minutes where a load may ask a person for a code.
    ///
    /// # Cancel safety
    ///
    /// As [`token`](Self::token).
    pub async fn after_refusal(&self, token: &IamToken) -> AfterRefusal {
        self.discard(token);
        self.0.credentials.after_refusal(token.access_key_id()).await
    }

    /// Notes that a server throttled a login.
    pub fn report_throttled(&self) {
        self.0.counters.throttled(self.0.clock.now());
    }

    /// Notes that a login was retried with a new token.
    pub fn report_retried(&self) {
        self.0.counters.retried();
    }

    /// Returns whether five logins or more were reported within the last second, accepted or
    /// refused, so that throttling may be why one of them was refused.
    pub fn has_many_logins(&self) -> bool {
        self.0.counters.are_many(self.0.clock.now())
    }

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot(self.0.tokens.stats(), self.0.credentials.stats())
    }

    /// Returns the clock by which tokens and credentials age.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Calls a function after each load of credentials, until the returned guard is dropped.
    pub fn on_load(&self, listener: impl Fn(&LoadedCredentials) + Send + Sync + 'static) -> Listening {
        self.0.credentials.on_load().add(listener)
    }

    /// Calls a function when the source fails to give credentials, at once and then once a minute,
    /// until the returned guard is dropped.
    ///
    /// While unexpired credentials go on serving, no caller sees such a failure.
    pub fn on_failure(&self, listener: impl Fn(&FailedCredentials) + Send + Sync + 'static) -> Listening {
        self.0.credentials.on_failure().add(listener)
    }

    /// Returns the credentials, to be shared with an AWS SDK client.
    pub fn credentials(&self) -> CredentialsSource {
        self.0.credentials.clone()
    }

    /// Returns a usable token from the cache, unless it was signed with a former key.
    fn cached(
        &self,
        request: &TokenRequest,
        max_age: Duration,
        unexpired: Option<&Lease<Signer>>,
    ) -> Option<IamToken> {
        if max_age.is_zero() {
            return None;
        }
        let lease = self.0.tokens.get(request.key(), max_age)?;
        if unexpired.is_some_and(|unexpired| !is_signed_with(&lease, unexpired)) {
            // By its lease, so that a newer token of another call stays.
            self.0.tokens.invalidate(request.key(), &lease);
            return None;
        }
        self.handed_out(request, lease, "cached").into()
    }

    fn sign(
        &self,
        epoch: Epoch,
        request: &TokenRequest,
        max_age: Duration,
        credentials: &Lease<Signer>,
    ) -> Result<IamToken> {
        let sign = || {
            self.0.tokens.get_or_insert_in(epoch, request.key(), max_age, || {
                let token = request.sign(credentials.value(), self.0.clock.now())?;
                let (signed_at, expires_at) = (token.signed_at(), token.expires_at());
                Ok(Expiring::new(token, signed_at, expires_at))
            })
        };
        let mut lease = sign()?;
        if !is_signed_with(&lease, credentials) {
            // Another task stored a token that it had signed with the former credentials.
            self.0.tokens.invalidate(request.key(), &lease);
            // Once, not in a loop: a token of yet another key is as likely to be valid.
            lease = sign()?;
        }
        Ok(self.handed_out(request, lease, "signed"))
    }

    fn handed_out(&self, request: &TokenRequest, lease: Lease<AuthToken>, how: &'static str) -> IamToken {
        let age = || self.0.clock.now().duration_since(lease.issued_at()).unwrap_or_default();
        tracing::debug!(
            token = how,
            age_s = age().as_secs(),
            host = request.host(),
            region = request.region(),
            "token at hand"
        );
        IamToken { request: request.clone(), lease }
    }
}

fn is_signed_with(token: &Lease<AuthToken>, credentials: &Lease<Signer>) -> bool {
    token.value().access_key_id() == credentials.value().access_key_id()
}

impl fmt::Debug for IamTokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamTokenProvider").field("credentials", &self.0.credentials).finish_non_exhaustive()
    }
}
