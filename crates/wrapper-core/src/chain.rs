//! A driver behind its plugins.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::timeout_at;
use tracing::Instrument;

use crate::{
    BoxFuture, ConnectRequest, Connected, Driver, Error, ErrorKind, Events, Needs, Opening, Phase, Plugin,
    Registry, Result,
    dial::{LEAST_SHARE, timed_out},
    report::Reporter,
};

/// The rest of the chain, as a plugin sees it; copy it to run it more than once.
pub struct Next<'a, C> {
    rest: &'a [Arc<dyn Plugin<C>>],
    driver: &'a dyn Connect<C>,
}

impl<C> Clone for Next<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Next<'_, C> {}

impl<'a, C: Send + 'static> Next<'a, C> {
    /// Runs the inner plugins and then the driver.
    ///
    /// # Errors
    ///
    /// Returns what one of them returns.
    pub fn run(self, request: ConnectRequest) -> Opening<'a, C> {
        match self.rest.split_first() {
            Some((plugin, rest)) => {
                request.progress().enter(Phase::Plugins);
                plugin.connect(request, Next { rest, ..self })
            }
            None => Box::pin(async move {
                let request = request.attempt();
                let handle = request.abort_registration().handle();
                let connection = self.driver.connect(request.clone()).await?;
                Ok(Connected::new(connection, request.established(handle)))
            }),
        }
    }
}

/// A driver without its type, so that [`Next`] depends on the connection alone.
trait Connect<C>: Send + Sync {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<C>>;
}

impl<D: Driver> Connect<D::Connection> for D {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<D::Connection>> {
        Driver::connect(self, request)
    }
}

/// Opens a driver's connections through a chain of plugins; clones share both.
pub struct Wrapper<D: Driver> {
    driver: Arc<D>,
    chain: Arc<[Arc<dyn Plugin<D::Connection>>]>,
    reporter: Arc<Reporter>,
    registry: Registry<D::Connection>,
}

impl<D: Driver> Wrapper<D> {
    /// Puts plugins in front of a driver, the outermost first.
    pub fn new(driver: D, chain: Vec<Arc<dyn Plugin<D::Connection>>>) -> Self {
        let codes = chain.iter().map(|plugin| plugin.code()).collect::<Vec<_>>().join(",");
        let reporter = Arc::new(Reporter::new(codes.into(), Events::none()));
        let (driver, registry) = (Arc::new(driver), Registry::new());
        Self { driver, chain: chain.into(), reporter, registry }
    }

    /// Lets every factory of a registry explain the errors, whether its plugin is in the chain or not.
    #[must_use]
    pub fn explained_by(mut self, registry: Registry<D::Connection>) -> Self {
        self.registry = registry;
        self
    }

    /// Tells these listeners how every connect ends.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.reporter = Arc::new(Reporter::new(Arc::clone(self.reporter.plugins()), events));
        self
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// What the plugins together need of every connection.
    pub fn needs(&self) -> Needs {
        needs(&self.chain)
    }

    /// Lets every plugin judge a host.
    ///
    /// # Errors
    ///
    /// The first plugin's error.
    pub fn check(&self, request: &ConnectRequest) -> Result<()> {
        self.chain.iter().try_for_each(|plugin| plugin.check(request))
    }

    /// Opens one connection, by the request's deadline where it has one.
    ///
    /// How it ends is said at DEBUG and to the listeners; a server that refuses is warned of, and then once a minute at most.
    ///
    /// # Errors
    ///
    /// What a plugin or the driver returns; a timeout that tells what was going on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection that was being opened.
    pub async fn connect(&self, request: ConnectRequest) -> Result<Connected<D::Connection>> {
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
            // Lent, so that what it was doing is still there to be told when the time is over.
            let mut run = Next { rest: &self.chain, driver: &*self.driver }.run(request.clone());
            let outcome = match request.deadline() {
                None => run.await,
                Some(mut deadline) => loop {
                    if let Ok(outcome) = timeout_at(deadline, &mut run).await {
                        break outcome;
                    }
                    // Waiting for credentials costs no host its share: they are the same for all.
                    let last = request.last_deadline().filter(|last| *last > deadline);
                    match last.filter(|_| request.progress().phase() == Phase::Credentials) {
                        Some(last) => deadline = last.min(deadline + LEAST_SHARE),
                        None => break Err(timed_out(&request, attempt.elapsed())),
                    }
                },
            };
            let outcome = outcome.map_err(|error| self.registry.explain(&request, error));
            attempt.finish(&outcome);
            outcome
        }
        .instrument(span)
        .await
    }

    /// What the plugins make of a request, a password included, without opening a connection.
    ///
    /// # Errors
    ///
    /// What a plugin returns; a configuration error where one opens connections in another way than by the driver.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn prepare(&self, request: ConnectRequest) -> Result<ConnectRequest> {
        let end = Catch::default();
        let outcome = Next { rest: &self.chain, driver: &end }.run(request).await;
        let caught = end.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (caught, outcome) {
            (Some(request), _) => Ok(request),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(Error::new(
                ErrorKind::Configuration,
                "a plugin opens connections by itself, so that the driver's configuration would not do the same",
            )),
        }
    }
}

/// The end of a chain that is run only to see what reaches the driver.
#[derive(Default)]
struct Catch(Mutex<Option<ConnectRequest>>);

impl<C: 'static> Connect<C> for Catch {
    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<C>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        Box::pin(async { Err(Error::new(ErrorKind::Driver, "the connect was prepared, not opened")) })
    }
}

/// What the plugins of a chain together need.
pub fn needs<C>(chain: &[Arc<dyn Plugin<C>>]) -> Needs {
    chain.iter().fold(Needs::default(), |needs, plugin| needs.union(plugin.needs()))
}

// A derive would ask for `D: Clone`.
impl<D: Driver> Clone for Wrapper<D> {
    fn clone(&self) -> Self {
        Self {
            driver: Arc::clone(&self.driver),
            chain: Arc::clone(&self.chain),
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
mod tests {
    use super::*;
    use crate::{Event, MockDriver, Outcome, Password, Role, plugin_fn};

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts").block_on(future)
    }

    #[test]
    fn plugins_run_outermost_first_and_may_run_the_rest_again() {
        let driver = MockDriver::new();
        driver.fail(Error::new(ErrorKind::Transient, "not yet"));
        let again = plugin_fn("again", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            Box::pin(async move {
                match next.run(request.clone()).await {
                    Err(error) if error.is_transient() => next.run(request).await,
                    done => done,
                }
            })
        });
        let password = plugin_fn("password", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            next.run(request.with_password(Password::new("pw")))
        });
        let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(again), Arc::new(password)]);

        let connection = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane")));

        assert!(connection.is_ok());
        assert_eq!(driver.passwords(), [Some("pw".to_owned()), Some("pw".to_owned())]);
    }

    #[test]
    fn prepared_request_has_the_plugins_password_and_opens_nothing() {
        let driver = MockDriver::new();
        let password = plugin_fn("password", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            next.run(request.with_password(Password::new("pw")))
        });
        let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(password)]);

        let request = run(wrapper.prepare(ConnectRequest::new("a.example", 1, "jane"))).expect("is prepared");

        assert_eq!(request.password().map(Password::as_secret), Some("pw"));
        assert!(driver.requests().is_empty());
    }

    #[test]
    fn end_of_every_connect_is_told_also_where_time_runs_out_or_the_caller_leaves() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let hangs = plugin_fn("hangs", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            Box::pin(async move {
                match request.port() {
                    1 => std::future::pending().await,
                    _ => next.run(request).await,
                }
            })
        });
        let driver = MockDriver::new();
        let wrapper = Wrapper::new(driver.clone(), vec![Arc::new(hangs)]).with_events(Events::none().with(
            move |event| {
                let Event::ConnectFinished(finished) = event else { return };
                let outcome = match &finished.outcome {
                    Outcome::Abandoned => "abandoned".to_owned(),
                    Outcome::Connected => "connected".to_owned(),
                    Outcome::Failed(error) => format!("{:?}", error.kind()),
                };
                ear.lock().expect("no callback panics").push((
                    finished.port,
                    outcome,
                    finished.plugins.to_string(),
                ));
            },
        ));
        driver.fail(Error::new(ErrorKind::Login, "no"));

        run(async {
            let request = |port| ConnectRequest::new("a.example", port, "jane");
            assert!(wrapper.connect(request(2)).await.is_err());
            assert!(wrapper.connect(request(2)).await.is_ok());
            let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(5);
            let error = wrapper.connect(request(1).begin(soon)).await.expect_err("hangs");
            assert!(error.to_string().contains("still waiting for a plugin"), "{error}");
            let mut given_up = Box::pin(wrapper.connect(request(1)));
            assert!(futures_poll(given_up.as_mut()));
        });

        let expected = [(2, "Login"), (2, "connected"), (1, "Timeout"), (1, "abandoned")];
        let expected = expected.map(|(port, outcome)| (port, outcome.to_owned(), "hangs".to_owned()));
        assert_eq!(*heard.lock().expect("no callback panics"), expected);
    }

    /// Polls once; whether it is pending.
    fn futures_poll<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> bool {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
    }

    #[test]
    fn wrapper_without_plugins_is_the_driver() {
        let driver = MockDriver::new();
        let wrapper = Wrapper::new(driver.clone(), Vec::new());

        let request = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");

        assert!(request.connection.password().is_none());
        assert_eq!(wrapper.needs(), Needs::default());
        assert_eq!(driver.requests().len(), 1);
    }

    /// Notes where each attempt is, waits for both, and fails the one to `a.example` by what its request tells.
    #[derive(Debug, Default)]
    struct Racing(tokio::sync::Notify);

    impl Driver for Racing {
        type Connection = ();

        fn default_port(&self) -> u16 {
            5432
        }

        fn engine(&self) -> crate::Engine {
            crate::Engine::Postgres
        }

        fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<()>> {
            Box::pin(async move {
                if request.host() == "a.example" {
                    request.progress().dial(([10, 0, 0, 1], 5432).into());
                    self.0.notified().await;
                } else {
                    request.progress().dial(([10, 0, 0, 2], 5432).into());
                    request.progress().enter(Phase::Tls);
                    self.0.notify_one();
                    tokio::task::yield_now().await;
                }
                let phase = request.progress().phase();
                Err(Error::new(ErrorKind::Connect, format!("{} while {phase}", request.place())))
            })
        }
    }

    #[test]
    fn raced_attempts_report_their_own_host_and_phase() {
        let race = plugin_fn("race", |request: ConnectRequest, next: Next<'_, ()>| {
            Box::pin(async move {
                let (a, b) = (request.clone().with_host("a.example"), request.with_host("b.example"));
                let (a, b) = tokio::join!(next.run(a), next.run(b));
                let text = [a, b].map(|outcome| outcome.map(drop).expect_err("fails").to_string());
                Err(Error::new(ErrorKind::Connect, text.join("; ")))
            })
        });
        let wrapper = Wrapper::new(Racing::default(), vec![Arc::new(race)]);

        let error = run(wrapper.connect(ConnectRequest::new("c.example", 5432, "jane"))).expect_err("fails");

        assert_eq!(
            error.to_string(),
            "`a.example` (10.0.0.1:5432) while opening the tcp connection; \
             `b.example` (10.0.0.2:5432) while in the tls handshake"
        );
    }

    #[test]
    fn attempts_raced_on_one_host_report_their_own_phase() {
        let race = plugin_fn("race", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            Box::pin(async move {
                let (first, second) = (next.run(request.clone()).await?, next.run(request.clone()).await?);
                first.connection.progress().enter(Phase::Login);
                second.connection.progress().enter(Phase::Tls);
                let phases = [&first.connection, &second.connection, &request];
                let phases = phases.map(|request| request.progress().phase());
                assert_eq!(phases, [Phase::Login, Phase::Tls, Phase::Tls]);
                Ok(first)
            })
        });
        let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(race)]);

        run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");
    }

    #[test]
    fn connection_comes_with_where_it_leads() {
        let moves = plugin_fn("move", |request: ConnectRequest, next: Next<'_, ConnectRequest>| {
            Box::pin(async move {
                let request = request.with_host("b.example").with_port(2).with_instance("b");
                let mut connected = next.run(request).await?;
                assert_eq!(connected.established.role(), None);
                connected.established.set_role(Role::Writer);
                Ok(connected)
            })
        });
        let wrapper = Wrapper::new(MockDriver::new(), vec![Arc::new(moves)]);

        let connected = run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");

        let established = &connected.established;
        assert_eq!((established.host(), established.port()), ("b.example", 2));
        assert_eq!((established.instance(), established.role()), (Some("b"), Some(Role::Writer)));
    }

    #[test]
    fn abort_handle_holds_as_long_as_the_connection() {
        let wrapper = Wrapper::new(MockDriver::new(), Vec::new());
        let connect = || run(wrapper.connect(ConnectRequest::new("a.example", 1, "jane"))).expect("connects");
        let (first, second) = (connect(), connect());

        let reason = Error::new(ErrorKind::Transient, "demoted");
        assert!(first.established.abort_handle().abort(reason));

        assert!(first.connection.abort_registration().check().is_err());
        assert!(second.connection.abort_registration().check().is_ok(), "each connection has its own");
    }

    #[test]
    fn futures_and_wrappers_cross_threads() {
        fn check<T: Send>(_: &T) {}
        let wrapper = Wrapper::new(MockDriver::new(), Vec::new());
        check(&wrapper);
        check(&wrapper.connect(ConnectRequest::new("a.example", 1, "jane")));
    }
}
