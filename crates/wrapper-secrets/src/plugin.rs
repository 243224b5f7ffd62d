//! The plugin: logs in with user and password of a secret.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Events, Next, Opening, Password, Plugin, Requirements, Result,
    adapter::Phase, stats::Stats,
};

use crate::{
    AfterRefusal, DatabaseSecret, ListenerGuard, SecretProvider,
    refusal::{Refusal, Retry},
};

/// Logs every connect in with the user and the password of a secret, over verified TLS only.
///
/// If a server refuses a cached secret, it is loaded again, once for all refused logins, and a
/// changed one is tried. Within the retry timeout a refused login is repeated in steps, each with
/// one shared load: that bridges the window of a rotation in which only the database has the new
/// password.
#[derive(Debug)]
pub struct SecretsPlugin {
    secrets: SecretProvider,
    retry_timeout: Duration,
    _listeners: Option<ListenerGuard>,
}

impl SecretsPlugin {
    /// The code that names the plugin.
    pub const CODE: &'static str = "awsSecretsManager";

    /// Creates a plugin that takes user and password from the given provider.
    pub fn new(secrets: SecretProvider) -> Self {
        Self { secrets, retry_timeout: Duration::ZERO, _listeners: None }
    }

    /// Sets for how long a refused login is repeated (`secretRotationRetryTimeoutMs`); by default
    /// it is not.
    #[must_use]
    pub fn with_retry_timeout(mut self, timeout: Duration) -> Self {
        self.retry_timeout = timeout;
        self
    }

    /// Reports loads of the secret to these listeners, as long as the plugin lives.
    #[must_use]
    pub fn with_events(mut self, events: &Events) -> Self {
        self._listeners = self.secrets.add_listeners(events);
        self
    }

    /// Returns the provider of its secret, for [`SecretProvider::stats`]; a connector's
    /// `plugin::<SecretsPlugin>()` finds the plugin.
    pub fn secrets(&self) -> &SecretProvider {
        &self.secrets
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
        // Taken before the load of the secret, whose time counts too.
        let until = self.until(request);
        request.progress().enter(Phase::Credentials);
        let mut secret = self.secrets.secret().await?;
        let mut retry = Retry::None;
        loop {
            // Only a refused login says something about the secret; every other error ends here.
            let refused = match self.attempt(request, &secret, next).await {
                Err(error) if error.is_login() => error,
                done => return done.map_err(|error| request.after_refusal(error)),
            };
            request.progress().refused(self.refusal(request, &secret, &retry).explain(&refused));
            request.progress().enter(Phase::Credentials);
            // A secret loaded for this connect is as new as possible. After the first retry the
            // steps decide when the service is called again.
            if matches!(retry, Retry::None) && !secret.is_fresh() {
                match self.secrets.after_refusal(&secret).await {
                    AfterRefusal::Changed(newer) => {
                        tracing::info!(
                            host = request.host(),
                            secret = self.secrets.secret_id(),
                            "secret refused, trying once more with a newer one"
                        );
                        self.secrets.report_retried();
                        (secret, retry) = (newer, Retry::Refused);
                        continue;
                    }
                    AfterRefusal::Failed(error) => retry = Retry::Unavailable(error),
                    AfterRefusal::Unchanged => retry = Retry::Unchanged,
                }
            } else {
                self.secrets.report_refused();
            }
            // With a timeout of zero no step fits, so the login ends here.
            let step = self.secrets.next_step(&secret, until, request.progress());
            let Some(newest) = step.await else {
                return Err(self.refusal(request, &secret, &retry).explain(&refused));
            };
            // The reason why no newer secret was loaded is kept for the error.
            if !matches!(retry, Retry::Unavailable(_)) {
                retry = Retry::Refused;
            }
            secret = newest;
        }
    }

    fn refusal<'a>(
        &'a self,
        request: &'a ConnectRequest,
        secret: &'a DatabaseSecret,
        retry: &'a Retry,
    ) -> Refusal<'a> {
        let (id, now) = (self.secrets.secret_id(), self.secrets.clock().now());
        Refusal { request, secret, id, retry, retry_timeout: Some(self.retry_timeout), now }
    }

    /// Returns the time until which tries may begin; never after the connect's own deadline.
    fn until(&self, request: &ConnectRequest) -> SystemTime {
        // The deadline is monotonic, the steps go by the provider's clock: only the time left
        // carries over.
        let left = request.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(self.retry_timeout, |left| left.min(self.retry_timeout));
        self.secrets.clock().now() + timeout
    }

    async fn attempt<C: Send + 'static>(
        &self,
        request: &ConnectRequest,
        secret: &DatabaseSecret,
        next: Next<'_, C>,
    ) -> Result<Connected<C>> {
        // Before the login: the server would refuse another user's password without naming the
        // reason.
        self.secrets.check_user(request.user(), secret)?;
        let request = request.clone().with_user(secret.user())?;
        let outcome =
            next.run(request.with_password(Password::verified_tls_only(secret.expose_password()))).await;
        if outcome.is_ok() {
            self.secrets.report_accepted(secret);
        }
        outcome
    }
}

impl<C: Send + 'static> Plugin<C> for SecretsPlugin {
    fn code(&self) -> &str {
        Self::CODE
    }

    fn requirements(&self) -> Requirements {
        Requirements::SECRET
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        Box::pin(SecretsPlugin::connect(self, request, next))
    }

    fn add_stats(&self, stats: &mut Stats) {
        let own = self.secrets.stats();
        stats.hits += own.hits;
        stats.misses += own.loads;
        stats.renewals_failed += own.renewals_failed;
        stats.retries += own.retries;
        stats.waits += own.waits;
    }

    fn warm_up<'a>(&'a self, _: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.secrets.warm_up())
    }
}
