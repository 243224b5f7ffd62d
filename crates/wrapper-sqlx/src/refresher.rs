//! Renewal of a pool's token.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::Pool;
use tokio::runtime::Handle;
use wrapper_adapter::Roots;
use wrapper_core::{ConnectRequest, Error, Result};
use wrapper_topology::Topology;

use crate::{
    Freshness,
    diagnosis::Known,
    engine::{DriverOptions, Engine},
    lead::{Lead, Watch},
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
    /// The configured target of the pool.
    request: ConnectRequest,
    roots: Roots,
    lead: Option<Arc<Lead<D>>>,
    runtime: Handle,
    /// Locked during a check, so that an older token never replaces a newer one.
    refresh_lock: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    login: Login,
    /// The instance that the pool is to connect to, if a topology chose one.
    instance: Option<ConnectRequest>,
    /// The instance that the pool's options lead to.
    led_to: Option<ConnectRequest>,
    checked_at: SystemTime,
    failures: u64,
    is_running: bool,
    last_error: Option<Error>,
    renewals: u64,
    warned_at: Option<SystemTime>,
}

impl State {
    /// Notes a failure and returns the number of failures in a row, if a warning is due.
    fn failed(&mut self, now: SystemTime) -> Option<u64> {
        self.failures += 1;
        // An absolute distance: a clock that was set back must not silence the warning.
        let since = |at| now.duration_since(at).unwrap_or_else(|error| error.duration());
        let is_due = self.warned_at.is_none_or(|at| since(at) >= WARN_EVERY);
        is_due.then(|| {
            self.warned_at = Some(now);
            self.failures
        })
    }

    /// Returns whether the pool's options have yet to lead to the instance.
    fn is_to_move(&self) -> bool {
        place(self.led_to.as_ref()) != place(self.instance.as_ref())
    }
}

impl<D: Engine> Refresher<D> {
    /// Takes charge of a pool that was opened with `login`, until it is closed.
    pub(crate) fn start(
        pool: Pool<D>,
        template: DriverOptions<D>,
        passwords: PasswordSource,
        request: ConnectRequest,
        roots: Roots,
        login: Login,
        lead: Option<Arc<Lead<D>>>,
    ) -> Arc<Self> {
        let state = State {
            login,
            instance: None,
            led_to: None,
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
        let refresher =
            Self { pool, template, passwords, request, roots, lead, runtime, refresh_lock, state };
        let refresher = Arc::new(refresher);
        // Created outside of the task: a runtime that shuts down may drop a task without polling
        // it.
        let running = Running(Arc::clone(&refresher));
        tokio::spawn(async move { running.0.run().await });
        refresher
    }

    async fn run(&self) {
        let mut closed = self.pool.close_event();
        let clock = self.passwords.clock();
        // `do_until` drops the check at its next await once the pool is closed: all of them are
        // cancel-safe.
        let lead = self.lead.as_deref();
        let before = lead.map_or(0, Lead::epoch);
        if closed.do_until(self.look()).await.is_err() {
            return;
        }
        let mut watch = Watch::start(lead, before);
        loop {
            let check = async {
                // A clock that was set back must not postpone the next check.
                let last = self.state().checked_at.min(clock.now());
                tokio::select! {
                    () = clock.sleep_until(last + CHECK_EVERY) => {}
                    is_changed = watch.reason_to_look(lead) => {
                        if is_changed {
                            self.follow().await;
                        }
                        return self.look().await;
                    }
                }
                // The state keeps a failure, and the next check retries.
                drop(self.refresh().await);
            };
            if closed.do_until(check).await.is_err() {
                break;
            }
        }
        tracing::debug!(host = self.passwords.host(), "pool closed, its login is left as it is");
    }

    /// Leads the pool to the known writer, and drops its idle connections: sqlx would close them
    /// gracefully, and a former writer may never answer.
    async fn follow(&self) {
        if let Some(instance) = self.lead.as_ref().and_then(|lead| lead.writer()) {
            self.lead_to(instance).await;
        }
        // Idle ones only; those in use are judged when they are next taken out.
        while let Some(connection) = self.pool.try_acquire() {
            drop(connection.detach());
        }
    }

    /// Finds the writer, and leads the pool there.
    async fn look(&self) {
        let Some(lead) = &self.lead else { return };
        match lead.look().await {
            Ok(instance) => self.lead_to(instance).await,
            // The next change, or the next look, may find it.
            Err(error) => tracing::debug!(%error, "the writer was not found"),
        }
    }

    async fn lead_to(&self, instance: ConnectRequest) {
        let (host, port) = (instance.host().to_owned(), instance.port());
        {
            let mut state = self.state();
            // By place alone: an instance that is found again must not cost a token.
            if place(state.instance.as_ref()) == place(Some(&instance)) {
                return;
            }
            state.instance = Some(instance);
        }
        tracing::debug!(host, port, "pool led to the writer");
        drop(self.refresh().await);
    }

    /// Gives the pool a token that stays valid for a while; an error only if the current one has
    /// expired.
    pub(crate) async fn refresh(&self) -> Result<()> {
        // An async mutex, because it is held while a token is fetched; `state` is never held across
        // an await.
        let _guard = self.refresh_lock.lock().await;
        let instance = self.state().instance.clone();
        let fetched = self.passwords.login(instance.as_ref()).await;
        let (now, host) = (self.passwords.clock().now(), self.passwords.host());
        match fetched {
            Ok(login) => {
                if self.renew(login, instance, now) {
                    tracing::debug!(host, "pool given a new password");
                }
                Ok(())
            }
            Err(error) => {
                let (due, is_expired, _former) = {
                    let mut state = self.state();
                    state.checked_at = now;
                    let former = state.last_error.replace(error.clone());
                    (state.failed(now), now >= state.login.expires_at(), former)
                };
                // Logged outside of the lock: a subscriber may ask for the pool's freshness.
                if let Some(failures) = due {
                    tracing::warn!(host, failures, %error, "could not renew the token of the pool");
                }
                // The pool still opens connections with a token that has not expired.
                if is_expired { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Sets the pool's options to a login for an instance; returns whether its password is new.
    fn renew(&self, login: Login, instance: Option<ConnectRequest>, now: SystemTime) -> bool {
        // Locked until the options are set, so that `explain` reads the login that the pool has.
        let mut state = self.state();
        state.checked_at = now;
        state.failures = 0;
        state.warned_at = None;
        let is_new = !login.is_same(&state.login);
        // Setting options clones them into the pool, so an unchanged token sets none.
        if is_new || state.is_to_move() {
            let template = match &instance {
                Some(instance) => D::at(self.template.clone(), instance.host(), instance.port()),
                None => self.template.clone(),
            };
            self.pool.set_connect_options(login.set::<D>(template));
            // Not `state.instance`: it may be another one since the login was fetched.
            state.led_to = instance;
        }
        state.renewals += u64::from(is_new);
        state.login = login;
        let former = state.last_error.take();
        drop(state);
        // Outside of the lock: its source may be an application's, with a `Drop` that asks this
        // pool.
        drop(former);
        is_new
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
        // Copied out: to explain an error asks for the clock and the secret, which are an
        // application's.
        let (login, led_to, last_error) = {
            let state = self.state();
            (state.login.clone(), state.led_to.clone(), state.last_error.clone())
        };
        let known = Known {
            // Where the pool connects to, which is not where it was configured to once it was led.
            request: led_to.as_ref().unwrap_or(&self.request),
            engine: D::ENGINE,
            passwords: &self.passwords,
            login: &login,
            roots: &self.roots,
            size: (self.pool.size(), self.pool.options().get_max_connections()),
            last_error: last_error.as_ref(),
        };
        known.explain(error)
    }

    /// Closes the pool, and with it the task, in the runtime that built it; does nothing if that
    /// has ended.
    pub(crate) fn close(&self) {
        // The call itself marks the pool as closed, whether its future is polled or not.
        drop(self.pool.close());
        let pool = self.pool.clone();
        // Waits for connections in use.
        self.runtime.spawn(async move { pool.close().await });
    }

    pub(crate) fn topology(&self) -> Option<&Topology> {
        self.lead.as_deref().map(Lead::topology)
    }

    pub(crate) fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where a request connects to.
fn place(request: Option<&ConnectRequest>) -> Option<(&str, u16)> {
    request.map(|request| (request.host(), request.port()))
}

/// Marks the refresher as stopped when its task ends or is dropped with its runtime.
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
