//! Giving a pool its next token in time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::Pool;
use tokio::runtime::Handle;
use wrapper_core::{ConnectRequest, Error, Events, Result};
use wrapper_iam::{IamToken, IamTokenProvider, Listening, TokenRequest, connect_error, tell_of_credentials};

use crate::{
    Freshness,
    engine::{DriverOptions, Engine},
    explain::Known,
};

/// How often the token is looked at. A token is at hand for a minute more at least, so that three
/// checks may come to nothing.
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// The age at which a token is replaced: the ten minutes that it has left bridge an outage of the
/// source of credentials.
const RENEW_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often a pool that gets no new token is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Where the tokens of a pool come from.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) tokens: IamTokenProvider,
    pub(crate) target: TokenRequest,
    /// Where the pool connects to.
    request: ConnectRequest,
    max_age: Duration,
    _listening: Option<[Listening; 2]>,
}

impl Supply {
    pub(crate) fn new(
        tokens: IamTokenProvider,
        target: TokenRequest,
        request: ConnectRequest,
        max_age: Option<Duration>,
    ) -> Self {
        let max_age = max_age.map_or(RENEW_AFTER, |max_age| max_age.min(RENEW_AFTER));
        Self { tokens, target, request, max_age, _listening: None }
    }

    /// Tells these listeners of credentials that are loaded.
    pub(crate) fn with_events(mut self, events: &Events) -> Self {
        self._listening = tell_of_credentials(&self.tokens, events);
        self
    }

    pub(crate) async fn token(&self) -> Result<IamToken> {
        let token = self.tokens.token_within(&self.target, self.max_age).await;
        token.map_err(|error| connect_error(&error))
    }

    fn now(&self) -> SystemTime {
        self.tokens.clock().now()
    }
}

/// Keeps the connect options of one pool fresh.
pub(crate) struct Refresher<D: Engine> {
    pool: Pool<D>,
    template: DriverOptions<D>,
    supply: Supply,
    runtime: Handle,
    /// Held for the length of a check, so that an older token never replaces a newer one.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    token: IamToken,
    checked_at: SystemTime,
    failures: u64,
    is_running: bool,
    last_error: Option<Error>,
    renewals: u64,
    warned_at: Option<SystemTime>,
}

impl State {
    fn failed(&mut self, error: &Error, host: &str, now: SystemTime) {
        self.failures += 1;
        self.last_error = Some(error.clone());
        // A distance: a clock that was set back does not silence it.
        let since = |at| now.duration_since(at).unwrap_or_else(|error| error.duration());
        if self.warned_at.is_none_or(|at| since(at) >= WARN_EVERY) {
            self.warned_at = Some(now);
            tracing::warn!(host, failures = self.failures, %error, "no new token for the pool");
        }
    }
}

impl<D: Engine> Refresher<D> {
    /// Takes charge of a pool that was opened with `token`, until it is closed.
    pub(crate) fn start(
        pool: Pool<D>,
        template: DriverOptions<D>,
        supply: Supply,
        token: IamToken,
    ) -> Arc<Self> {
        let state = State {
            token,
            checked_at: supply.now(),
            failures: 0,
            is_running: true,
            last_error: None,
            renewals: 0,
            warned_at: None,
        };
        let turn = tokio::sync::Mutex::new(());
        let runtime = Handle::current();
        let refresher = Arc::new(Self { pool, template, supply, runtime, turn, state: Mutex::new(state) });
        // Made here, because a runtime that ends may drop a task that it never ran.
        let running = Running(Arc::clone(&refresher));
        tokio::spawn(async move { running.0.run().await });
        refresher
    }

    async fn run(&self) {
        let mut closed = self.pool.close_event();
        let clock = self.supply.tokens.clock();
        loop {
            let check = async {
                // A clock that was set back must not put the next check off.
                let last = self.state().checked_at.min(clock.now());
                clock.sleep_until(last + CHECK_EVERY).await;
                // A failure is in the state, and the next check tries again.
                drop(self.refresh().await);
            };
            if closed.do_until(check).await.is_err() {
                break;
            }
        }
        tracing::debug!(host = self.supply.target.host(), "pool closed, its token is left as it is");
    }

    /// Gives the pool a token that has a while to live; an error only if the one that it has is past its end.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let fetched = self.supply.token().await;
        let now = self.supply.now();
        let mut state = self.state();
        state.checked_at = now;
        match fetched {
            Ok(token) => {
                state.failures = 0;
                state.last_error = None;
                state.warned_at = None;
                if token.expose() != state.token.expose() {
                    self.pool.set_connect_options(D::with_password(self.template.clone(), token.expose()));
                    state.token = token;
                    state.renewals += 1;
                    tracing::debug!(host = self.supply.target.host(), "pool given a new token");
                }
                Ok(())
            }
            Err(error) => {
                state.failed(&error, self.supply.target.host(), now);
                if now < state.token.expires_at() { Ok(()) } else { Err(error) }
            }
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        let state = self.state();
        Freshness {
            checked_at: state.checked_at,
            expires_at: state.token.expires_at(),
            failures: state.failures,
            is_running: state.is_running,
            last_error: state.last_error.clone(),
            renewals: state.renewals,
            signed_at: state.token.signed_at(),
        }
    }

    pub(crate) fn explain(&self, error: sqlx::Error) -> Error {
        let now = self.supply.now();
        let state = self.state();
        let (token, last_error) = (&state.token, state.last_error.as_ref());
        Known { request: &self.supply.request, engine: D::ENGINE, token, now, last_error }.explain(error)
    }

    /// Closes the pool, and with it the task, in the runtime that built it, or not at all if that has ended.
    pub(crate) fn close(&self) {
        // Nobody gets a connection any more from the call on, whether it is driven or not.
        drop(self.pool.close());
        let pool = self.pool.clone();
        // Waits for what is in use.
        self.runtime.spawn(async move { pool.close().await });
    }

    pub(crate) fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a refresher; it stops to run when it ends, and when its runtime does.
struct Running<D: Engine>(Arc<Refresher<D>>);

impl<D: Engine> Drop for Running<D> {
    fn drop(&mut self) {
        self.0.state().is_running = false;
    }
}

// The driver's own `Debug` of connect options prints the password.
impl<D: Engine> fmt::Debug for Refresher<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("pool", &self.pool)
            .field("target", &self.supply.target)
            .finish_non_exhaustive()
    }
}
