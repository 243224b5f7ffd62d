//! A driver behind its plugins.

use std::{fmt, sync::Arc};

use tracing::Instrument;

use crate::{BoxFuture, ConnectRequest, Connected, Driver, Needs, Opening, Phase, Plugin, Result};

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
    codes: Arc<str>,
}

impl<D: Driver> Wrapper<D> {
    /// Puts plugins in front of a driver, the outermost first.
    pub fn new(driver: D, chain: Vec<Arc<dyn Plugin<D::Connection>>>) -> Self {
        let codes = chain.iter().map(|plugin| plugin.code()).collect::<Vec<_>>().join(",");
        Self { driver: Arc::new(driver), chain: chain.into(), codes: codes.into() }
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

    /// Opens one connection.
    ///
    /// # Errors
    ///
    /// What a plugin or the driver returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection that was being opened.
    pub async fn connect(&self, request: ConnectRequest) -> Result<Connected<D::Connection>> {
        let span = tracing::info_span!(
            "connect",
            host = request.host(),
            port = request.port(),
            user = request.user(),
            plugins = &*self.codes
        );
        async {
            let start = tokio::time::Instant::now();
            let outcome = Next { rest: &self.chain, driver: &*self.driver }.run(request).await;
            let duration_ms = start.elapsed().as_millis() as u64;
            match &outcome {
                Ok(_) => tracing::info!(outcome = "connected", duration_ms, "connect done"),
                Err(error) => {
                    tracing::warn!(outcome = ?error.kind(), duration_ms, %error, "connect failed");
                }
            }
            outcome
        }
        .instrument(span)
        .await
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
            codes: Arc::clone(&self.codes),
        }
    }
}

impl<D: Driver> fmt::Debug for Wrapper<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapper").field("plugins", &self.codes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind, MockDriver, Password, Role, plugin_fn};

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
