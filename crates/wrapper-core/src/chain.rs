//! A driver behind its plugins.

use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::{
    ConnectRequest, Connected, Error, ErrorKind, Established, Events, Plugin, Registry, Requirements, Result,
    Session,
    adapter::{Driver, Phase, Suspicion, until_wait_ends},
    lifetime::Living,
    plugin::{Chain, End, Run},
    report::Reporter,
    session::in_time,
    stats::Stats,
};

/// Opens a driver's connections through a chain of plugins; clones share both.
pub struct Wrapper<D: Driver> {
    driver: Arc<D>,
    shared: Arc<Shared<D::Connection>>,
    reporter: Arc<Reporter>,
    registry: Registry<D::Connection>,
}

/// Is dropped with the last connector, even while a background task holds the chain: that ends the
/// task.
struct Shared<C> {
    chain: Arc<Chain<C>>,
    living: Arc<Living>,
}

impl<D: Driver> Wrapper<D> {
    /// Puts plugins in front of a driver, the outermost first.
    pub fn new(driver: D, chain: Vec<Arc<dyn Plugin<D::Connection>>>) -> Self {
        let codes = chain.iter().map(|plugin| plugin.code()).collect::<Vec<_>>().join(",");
        let reporter = Arc::new(Reporter::new(codes.into(), Events::none()));
        let (living, lifetime) = Living::new();
        let (driver, registry) = (Arc::new(driver), Registry::new());
        let chain = Chain {
            plugins: chain.into(),
            driver: Arc::clone(&driver) as _,
            lifetime,
            lasting: None,
            logins: Arc::default(),
        };
        let shared = Arc::new(Shared { chain: Arc::new(chain), living: Arc::new(living) });
        Self { driver, shared, reporter, registry }
    }

    /// Puts another driver behind the same plugins, for an adapter whose driver serves one connect
    /// only.
    ///
    /// Background tasks of plugins open their connections through the first driver, and end once
    /// the connectors of all these drivers are dropped.
    #[must_use]
    pub fn with_driver(&self, driver: D) -> Self {
        let Shared { chain, living } = &*self.shared;
        let driver = Arc::new(driver);
        let chain = Chain {
            plugins: Arc::clone(&chain.plugins),
            driver: Arc::clone(&driver) as _,
            lifetime: chain.lifetime.clone(),
            logins: Arc::clone(&chain.logins),
            // The first chain's, not this one's: chains of chains would grow with every call.
            lasting: Some(Arc::clone(chain.lasting.as_ref().unwrap_or(chain))),
        };
        let shared = Arc::new(Shared { chain: Arc::new(chain), living: Arc::clone(living) });
        Self { driver, shared, reporter: Arc::clone(&self.reporter), registry: self.registry.clone() }
    }

    /// Lets every factory of a registry explain the errors, whether its plugin is in the chain or
    /// not.
    #[must_use]
    pub fn explained_by(mut self, registry: Registry<D::Connection>) -> Self {
        self.registry = registry;
        self
    }

    /// Notifies these listeners of the end of every connect.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.reporter = Arc::new(Reporter::new(Arc::clone(self.reporter.plugins()), events));
        self
    }

    /// Returns the driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// Returns the combined requirements of the plugins.
    pub fn requirements(&self) -> Requirements {
        Requirements::of(self.plugins())
    }

    /// Returns the plugin of a type, the outermost of several, for its statistics and methods of
    /// its own.
    pub fn plugin<P: Plugin<D::Connection>>(&self) -> Option<&P> {
        self.plugins().iter().find_map(|plugin| {
            let plugin: &dyn Any = &**plugin;
            // One that an application holds as well was given as an `Arc` of it.
            plugin.downcast_ref::<P>().or_else(|| plugin.downcast_ref::<Arc<P>>().map(|plugin| &**plugin))
        })
    }

    fn begin<'a>(&'a self, end: End<'a>) -> Run<'a, D::Connection> {
        Run::new(&self.shared.chain, end)
    }

    fn plugins(&self) -> &[Arc<dyn Plugin<D::Connection>>] {
        &self.shared.chain.plugins
    }

    /// Lets every registered factory explain an error of a connect or of its set-up.
    pub fn explain(&self, request: &ConnectRequest, error: Error) -> Error {
        self.registry.explain(request, error)
    }

    /// Lets every plugin check a host.
    ///
    /// # Errors
    ///
    /// The first plugin's error.
    pub fn check(&self, request: &ConnectRequest) -> Result<()> {
        self.plugins().iter().try_for_each(|plugin| plugin.check(request))
    }

    /// Lets every plugin prepare for connects to a host, the innermost first.
    ///
    /// # Errors
    ///
    /// The first plugin's error.
    pub async fn warm_up(&self, request: &ConnectRequest) -> Result<()> {
        // An outer plugin may need what an inner one prepares, so the inner ones go first.
        for plugin in self.plugins().iter().rev() {
            plugin.warm_up(request).await?;
        }
        Ok(())
    }

    /// Passes a suspicion that an error of a connection in use raised on to every plugin.
    pub fn suspect(&self, suspicion: Suspicion) {
        self.plugins().iter().for_each(|plugin| plugin.suspect(suspicion));
    }

    /// Returns what was counted so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.chain.logins.stats();
        self.plugins().iter().for_each(|plugin| plugin.add_stats(&mut stats));
        stats
    }

    /// Returns whether a plugin rules out a connection because of events since it was opened; runs
    /// no query.
    pub fn is_outdated(&self, established: &Established) -> bool {
        self.plugins().iter().any(|plugin| plugin.is_outdated(established))
    }

    /// Returns whether a plugin routes connects to instances of the requested role.
    pub fn leads_to_roles(&self) -> bool {
        self.plugins().iter().any(|plugin| plugin.leads_to_roles())
    }

    /// Lets every plugin judge a connection that was in use before, within five seconds.
    ///
    /// # Errors
    ///
    /// The first plugin's error; the connection must not be used then.
    pub async fn verify(&self, request: &ConnectRequest, session: &mut dyn Session) -> Result<()> {
        // One limit for all plugins: a frozen server costs five seconds, not five for each.
        in_time(async {
            for plugin in self.plugins() {
                plugin.verify(request, &mut *session).await?;
            }
            Ok(())
        })
        .await
    }

    /// Closes the connector with all of its clones: ends the background tasks of plugins, which
    /// have five seconds to close their connections in order, and waits until they have ended, for
    /// six seconds at most.
    ///
    /// Connections that were handed out stay open, connects under way go on and are not waited for,
    /// and further connects fail, also over [other drivers](Self::with_driver).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends nothing but the wait.
    pub async fn close(&self) {
        self.shared.living.close();
        self.shared.chain.lifetime.tasks_ended().await;
    }

    /// Opens one connection, by the request's deadline where it has one.
    ///
    /// The outcome is logged at DEBUG and sent to the listeners; a refusal by a server is logged at
    /// WARN, at most once a minute for each target.
    ///
    /// # Errors
    ///
    /// Returns the error of a plugin or the driver; a timeout, which names the phase that was
    /// reached; a configuration error once the connector is [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection that was being opened.
    pub async fn connect(&self, request: ConnectRequest) -> Result<Connected<D::Connection>> {
        if self.shared.chain.lifetime.is_closed() {
            return Err(Error::new(ErrorKind::Configuration, "the connector is closed"));
        }
        let span = tracing::debug_span!(
            "connect",
            host = request.host(),
            port = request.port(),
            user = request.user(),
            plugins = &**self.reporter.plugins()
        );
        let request = request.enter(self.driver.engine(), self.reporter.plugins());
        async {
            let attempt = self.reporter.begin(&request);
            // Polled by reference: dropping it would end the phase that a timeout has to name.
            let run = self.begin(End::Driver);
            // A clone shares the progress, which the error of a timeout reads.
            let mut run = run.from(0).run(request.clone());
            let outcome = match request.deadline() {
                None => run.await,
                Some(deadline) => match in_share(&request, deadline, run.as_mut()).await {
                    Some(outcome) => outcome,
                    None => Err(request.timed_out(attempt.elapsed())),
                },
            };
            let outcome = outcome.map_err(|error| self.explain(&request, error));
            attempt.finish(&outcome);
            outcome
        }
        .instrument(span)
        .await
    }

    /// Returns the request as the plugins hand it to the driver, a password included, without
    /// opening a connection.
    ///
    /// # Errors
    ///
    /// Returns a plugin's error; a configuration error if a plugin does not open its connections
    /// through the driver.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn prepare(&self, request: ConnectRequest) -> Result<ConnectRequest> {
        let caught = Mutex::new(None);
        let outcome = self.begin(End::Caught(&caught)).from(0).run(request).await;
        let caught = caught.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (caught, outcome) {
            // The end of the chain fails on purpose, whatever the plugins made of its error.
            (Some(request), _) => Ok(request),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(Error::new(
                ErrorKind::Configuration,
                "a plugin opens connections itself, which a configuration of the driver cannot reproduce",
            )),
        }
    }
}

/// Runs a connect within its host's share of the time; `None` once that is over.
///
/// A wait for credentials is not held against the host, because the others would wait for the same
/// ones: it may last until the deadline of all hosts, and the host has at least
/// [`LEAST_SHARE`](ConnectRequest::LEAST_SHARE) from the moment they come.
async fn in_share<T>(
    request: &ConnectRequest,
    mut deadline: Instant,
    mut run: Pin<&mut (impl Future<Output = T> + ?Sized)>,
) -> Option<T> {
    let last = request.last_deadline().unwrap_or(deadline);
    let wait = || Some(request.progress().phase()).filter(|phase| *phase == Phase::Credentials);
    let mut waited = None;
    loop {
        match timeout_at(deadline, until_wait_ends(run.as_mut(), &mut waited, wait)).await {
            Ok(Some(outcome)) => return Some(outcome),
            // The phase is read again, because another task may have changed it.
            Err(_) if deadline >= last || waited.or_else(wait).is_none() => return None,
            // The credentials have come, or take longer than the share.
            _ => {}
        }
        waited = wait();
        deadline = deadline.max(last.min(Instant::now() + ConnectRequest::LEAST_SHARE));
    }
}

// A derive would ask for `D: Clone`.
impl<D: Driver> Clone for Wrapper<D> {
    fn clone(&self) -> Self {
        Self {
            driver: Arc::clone(&self.driver),
            shared: Arc::clone(&self.shared),
            reporter: Arc::clone(&self.reporter),
            registry: self.registry.clone(),
        }
    }
}

impl<D: Driver> fmt::Debug for Wrapper<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapper").field("plugins", self.reporter.plugins()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
