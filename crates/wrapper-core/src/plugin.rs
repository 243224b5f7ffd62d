//! The plugin trait and the chain of plugins, whose types refer to each other.

use std::{
    any::Any,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Established, Result, Session,
    adapter::{Driver, Phase, Suspicion},
    counters::Logins,
    lifetime::Lifetime,
    session::Fresh,
    stats::Stats,
};

/// The future of a connect, which yields the connection and what is known about it.
pub type Opening<'a, C> = BoxFuture<'a, Result<Connected<C>>>;

/// Takes part in opening connections of type `C`.
///
/// A plugin gets one request at a time, by value, and passes it on by [`Next::run`]: once, not at
/// all, or several times (to retry, or to try another host). Its result goes to the next outer
/// plugin. It must not assume that its future runs to completion: a caller that gives up drops it
/// at any await. It may keep state of its own, but none of a request.
///
/// ```
/// use wrapper_core::{ConnectRequest, Next, Opening, Plugin};
///
/// /// Tries once more on any error.
/// #[derive(Debug)]
/// struct Again;
///
/// impl<C: Send + 'static> Plugin<C> for Again {
///     fn code(&self) -> &str {
///         "again"
///     }
///
///     fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
///         Box::pin(async move {
///             match next.run(request.clone()).await {
///                 Err(_) => next.run(request).await,
///                 done => done,
///             }
///         })
///     }
/// }
/// ```
pub trait Plugin<C>: Any + Debug + Send + Sync {
    /// Returns the code that names the plugin in the parameter `plugins` and in events.
    fn code(&self) -> &str;

    /// Returns the requirements on every connection; read when the connector is built.
    fn requirements(&self) -> Requirements {
        Requirements::default()
    }

    /// Checks a configured host when the connector is built, so that a wrong configuration fails
    /// before the first connect.
    ///
    /// # Errors
    ///
    /// A configuration error for this host.
    fn check(&self, request: &ConnectRequest) -> Result<()> {
        let _ = request;
        Ok(())
    }

    /// Opens a connection, as a rule through `next`.
    ///
    /// # Errors
    ///
    /// Returns its own error or the inner plugin's.
    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C>;

    /// Verifies a connection that a pool is about to hand out again; `request` is for the
    /// configured host that it was opened for. If the pool does not know that host, the plugin is
    /// called for each host until it accepts the connection.
    ///
    /// # Errors
    ///
    /// The reason why the connection must not be used any more.
    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        let _ = (request, session);
        Box::pin(ready(Ok(())))
    }

    /// Returns whether events since a connection was opened rule out its further use, such as a
    /// failover; must not block.
    fn is_outdated(&self, established: &Established) -> bool {
        let _ = established;
        false
    }

    /// Returns whether the plugin leads a connect to an instance of the role that the request asks
    /// for.
    fn leads_to_roles(&self) -> bool {
        false
    }

    /// Handles a suspicion about the server, raised by an error of a connection in use; must not
    /// block.
    fn suspect(&self, suspicion: Suspicion) {
        let _ = suspicion;
    }

    /// Adds the plugin's counters to those of its connector.
    fn add_stats(&self, stats: &mut Stats) {
        let _ = stats;
    }

    /// Prepares for connects to a host, such as by loading credentials, without connecting.
    ///
    /// # Errors
    ///
    /// An error that would fail a connect as well.
    fn warm_up<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        let _ = request;
        Box::pin(ready(Ok(())))
    }
}

/// The requirements of plugins on every connection, known before the first is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// The password is sent in cleartext, so the driver has to accept that request of the server.
    pub cleartext_password: bool,
    /// The connection has to use TLS with chain and name verified.
    pub verified_tls: bool,
    /// The plugin supplies the password, and a configured one is ignored.
    pub supplies_password: bool,
    /// The plugin supplies the user along with the password, so none has to be configured.
    pub supplies_user: bool,
}

impl Requirements {
    /// The requirements of a plugin whose password is a token: sent in cleartext, over verified
    /// TLS.
    pub const TOKEN: Self =
        Self { cleartext_password: true, verified_tls: true, supplies_password: true, supplies_user: false };

    /// The requirements of a plugin that takes user and password from a managed secret: any
    /// authentication method of the server, over verified TLS.
    pub const SECRET: Self =
        Self { cleartext_password: false, verified_tls: true, supplies_password: true, supplies_user: true };

    /// Returns the combined requirements of a chain's plugins.
    pub fn of<C: 'static>(chain: &[Arc<dyn Plugin<C>>]) -> Self {
        chain.iter().fold(Self::default(), |all, plugin| all.union(plugin.requirements()))
    }

    /// Combines two requirements.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            cleartext_password: self.cleartext_password || other.cleartext_password,
            verified_tls: self.verified_tls || other.verified_tls,
            supplies_password: self.supplies_password || other.supplies_password,
            supplies_user: self.supplies_user || other.supplies_user,
        }
    }
}

impl<C, P: Plugin<C> + ?Sized> Plugin<C> for Arc<P> {
    // All methods are forwarded: a default left in place would hide the one of the plugin.
    fn code(&self) -> &str {
        (**self).code()
    }

    fn requirements(&self) -> Requirements {
        (**self).requirements()
    }

    fn check(&self, request: &ConnectRequest) -> Result<()> {
        (**self).check(request)
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        (**self).connect(request, next)
    }

    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        (**self).verify(request, session)
    }

    fn is_outdated(&self, established: &Established) -> bool {
        (**self).is_outdated(established)
    }

    fn leads_to_roles(&self) -> bool {
        (**self).leads_to_roles()
    }

    fn suspect(&self, suspicion: Suspicion) {
        (**self).suspect(suspicion);
    }

    fn add_stats(&self, stats: &mut Stats) {
        (**self).add_stats(stats);
    }

    fn warm_up<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        (**self).warm_up(request)
    }
}

/// The plugins and the driver of a connector.
pub(crate) struct Chain<C> {
    pub(crate) plugins: Arc<[Arc<dyn Plugin<C>>]>,
    /// Without its type, so that a plugin depends on the connection alone.
    pub(crate) driver: Arc<dyn Driver<Connection = C>>,
    pub(crate) lifetime: Lifetime,
    /// The chain over which background tasks run, if this one's driver serves one connect only.
    pub(crate) lasting: Option<Arc<Chain<C>>>,
    pub(crate) logins: Arc<Logins>,
}

impl<C: Send + 'static> Chain<C> {
    pub(crate) fn session<'c>(&self, connected: &'c mut Connected<C>) -> Fresh<'c, C> {
        Fresh { driver: Arc::clone(&self.driver), connected }
    }
}

/// One connect through a chain: the part that is the same for all of its plugins.
///
/// It is stored in the future of the connect, so that a [`Next`] is two words, which are passed in
/// registers.
pub(crate) struct Run<'a, C> {
    chain: &'a Arc<Chain<C>>,
    /// The chain's, one pointer nearer.
    plugins: &'a [Arc<dyn Plugin<C>>],
    end: End<'a>,
}

/// The end of a chain.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    /// The driver, for a connect of the application, whose login counts.
    Driver,
    /// The driver, for a task of a plugin.
    Uncounted,
    /// Stores the request that would reach the driver, and opens nothing.
    Caught(&'a Mutex<Option<ConnectRequest>>),
}

impl<'a, C> Run<'a, C> {
    pub(crate) fn new(chain: &'a Arc<Chain<C>>, end: End<'a>) -> Self {
        Self { chain, plugins: &chain.plugins, end }
    }

    /// Returns the chain from the plugin at an index on.
    pub(crate) fn from(&self, at: usize) -> Next<'_, C> {
        Next { run: self, at }
    }
}

/// The rest of the chain, as a plugin sees it; copy it to run it more than once.
pub struct Next<'a, C> {
    run: &'a Run<'a, C>,
    at: usize,
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
    /// Returns the error of an inner plugin or the driver.
    pub fn run(self, request: ConnectRequest) -> Opening<'a, C> {
        let Self { run, at } = self;
        if let Some(plugin) = run.plugins.get(at) {
            // Until the plugin or the driver says more, an error names this phase.
            request.progress().enter(Phase::Plugins);
            return plugin.connect(request, Next { run, at: at + 1 });
        }
        Box::pin(run.finish(request))
    }

    /// Returns a session for queries on a connection that [`run`](Self::run) returned.
    pub fn session<'c>(self, connected: &'c mut Connected<C>) -> impl Session + use<'c, C> {
        self.run.chain.session(connected)
    }

    /// Returns the chain that outlives this connect, and the place of the next plugin in it.
    pub(crate) fn lasting(self) -> (&'a Arc<Chain<C>>, usize) {
        (self.run.chain.lasting.as_ref().unwrap_or(self.run.chain), self.at)
    }

    pub(crate) fn lifetime(self) -> &'a Lifetime {
        &self.run.chain.lifetime
    }
}

impl<C: Send + 'static> Run<'_, C> {
    /// Opens the connection once every plugin has had the request.
    async fn finish(&self, request: ConnectRequest) -> Result<Connected<C>> {
        if let End::Caught(caught) = self.end {
            *caught.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
            return Err(Error::new(ErrorKind::Driver, "the connect was prepared, not opened"));
        }
        if request.user().is_empty() {
            let message = "missing user: neither the configuration nor a plugin names one";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        // A retry comes through here again, with a progress and an abort handle of its own.
        let request = request.attempt();
        let handle = request.abort_registration().handle();
        let outcome = self.chain.driver.connect(request.clone()).await;
        // The connections of a plugin's own task are no logins of the application.
        if let End::Driver = self.end {
            self.chain.logins.note(&request, &outcome);
        }
        Ok(Connected::new(outcome?, request.established(handle)))
    }
}

// Held as trait objects everywhere; this keeps them possible.
const _: fn(&dyn Plugin<()>) = |_| ();
