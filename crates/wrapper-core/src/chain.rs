//! A driver behind its plugins.

use std::{fmt, sync::Arc};

use tracing::Instrument;

use crate::{BoxFuture, ConnectRequest, Driver, Needs, Phase, Plugin, Result};

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

impl<'a, C> Next<'a, C> {
    /// Runs the plugins further in and then the driver.
    ///
    /// # Errors
    ///
    /// What one of them returns.
    pub fn run(self, request: ConnectRequest) -> BoxFuture<'a, Result<C>> {
        match self.rest.split_first() {
            Some((plugin, rest)) => {
                request.progress().enter(Phase::Plugins);
                plugin.connect(request, Next { rest, ..self })
            }
            None => self.driver.connect(request),
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
    pub async fn connect(&self, request: ConnectRequest) -> Result<D::Connection> {
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
    use crate::{Error, ErrorKind, MockDriver, Password, plugin_fn};

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

        assert!(request.password().is_none());
        assert_eq!(wrapper.needs(), Needs::default());
        assert_eq!(driver.requests().len(), 1);
    }

    #[test]
    fn futures_and_wrappers_cross_threads() {
        fn check<T: Send>(_: &T) {}
        let wrapper = Wrapper::new(MockDriver::new(), Vec::new());
        check(&wrapper);
        check(&wrapper.connect(ConnectRequest::new("a.example", 1, "jane")));
    }
}
