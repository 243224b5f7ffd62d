//! Giving a pool its next token in time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::Pool;
use tokio::runtime::Handle;
use wrapper_core::{ConnectRequest, Error, Result};

use crate::{
    Freshness,
    engine::{DriverOptions, Engine},
    explain::Known,
    password_source::{Login, PasswordSource},
};

/// How often the token is checked. A token stays valid for at least another minute, so three checks
/// may fail.
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// How often a pool that gets no new token is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Keeps the connect options of one pool fresh.
pub(crate) struct Refresher<D: Engine> {
    pool: Pool<D>,
    template: DriverOptions<D>,
    passwords: PasswordSource,
    /// Where the pool connects to.
    request: ConnectRequest,
    runtime: Handle,
    /// Held for the length of a check, so that an older token never replaces a newer one.
    refresh_lock: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    login: Login,
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
    /// Takes charge of a pool that was opened with `login`, until it is closed.
    pub(crate) fn start(
        pool: Pool<D>,
        template: DriverOptions<D>,
        passwords: PasswordSource,
        request: ConnectRequest,
        login: Login,
    ) -> Arc<Self> {
        let state = State {
            login,
            checked_at: passwords.clock().now(),
            failures: 0,
            is_running: true,
            last_error: None,
            renewals: 0,
            warned_at: None,
        };
        let refresh_lock = tokio::sync::Mutex::new(());
        let runtime = Handle::current();
        let state = Mutex::new(state);
        let refresher = Arc::new(Self { pool, template, passwords, request, runtime, refresh_lock, state });
        // Made here, because a runtime that ends may drop a task that it never ran.
        let running = Running(Arc::clone(&refresher));
        tokio::spawn(async move { running.0.run().await });
        refresher
    }

    async fn run(&self) {
        let mut closed = self.pool.close_event();
        let clock = self.passwords.clock();
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
        tracing::debug!(host = self.passwords.host(), "pool closed, its login is left as it is");
    }

    /// Gives the pool a token that has a while to live; an error only if the one that it has is
    /// past its end.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let _guard = self.refresh_lock.lock().await;
        let fetched = self.passwords.login().await;
        let now = self.passwords.clock().now();
        let mut state = self.state();
        state.checked_at = now;
        match fetched {
            Ok(login) => {
                state.failures = 0;
                state.last_error = None;
                state.warned_at = None;
                if !login.is_same(&state.login) {
                    self.pool.set_connect_options(login.set::<D>(self.template.clone()));
                    state.renewals += 1;
                    tracing::debug!(host = self.passwords.host(), "pool given a new password");
                }
                state.login = login;
                Ok(())
            }
            Err(error) => {
                state.failed(&error, self.passwords.host(), now);
                if now < state.login.expires_at() { Ok(()) } else { Err(error) }
            }
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        let state = self.state();
        Freshness {
            checked_at: state.checked_at,
            expires_at: state.login.expires_at(),
            failures: state.failures,
            is_running: state.is_running,
            last_error: state.last_error.clone(),
            renewals: state.renewals,
            signed_at: state.login.issued_at(),
        }
    }

    pub(crate) fn explain(&self, error: sqlx::Error) -> Error {
        let state = self.state();
        let known = Known {
            request: &self.request,
            engine: D::ENGINE,
            passwords: &self.passwords,
            login: &state.login,
            last_error: state.last_error.as_ref(),
        };
        known.explain(error)
    }

    /// Closes the pool, and with it the task, in the runtime that built it, or not at all if that
    /// has ended.
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
            .field("host", &self.passwords.host())
            .finish_non_exhaustive()
    }
}
