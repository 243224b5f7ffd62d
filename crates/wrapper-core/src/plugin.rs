//! What a plugin is, and the chain that it stands in: the two name each other.

use std::{
    any::Any,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Established, Result, Session,
    adapter::{Driver, Phase, Suspicion},
    counters::Logins,
    session::Fresh,
    stats::Stats,
};

/// The future of a connect: the connection, with what is known of it.
pub type Opening<'a, C> = BoxFuture<'a, Result<Connected<C>>>;

/// Takes part in opening connections of type `C`.
///
/// A plugin gets one request at a time, by value, and hands it on by [`Next::run`]: once, or not at
/// all, or many times (to try again, or elsewhere). What it returns is what the plugin outside of
/// it gets. It must not assume that the future it returns is driven to its end: a caller that gives
/// up drops it at any await. It may keep state of its own, but nothing of a request.
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

    /// Returns what the plugin needs of every connection; read when the connector is built.
    fn requirements(&self) -> Requirements {
        Requirements::default()
    }

    /// Judges a host when the connector is built, so that what cannot work is said before the first
    /// connect.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration for this host.
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

    /// Judges a connection that a pool is about to hand out again; `request` is for the configured
    /// host that it was opened for. Where the pool does not know that, the plugin is asked for each
    /// host, until it lets the connection pass.
    ///
    /// # Errors
    ///
    /// Why the connection must not be used any more.
    fn verify<'a>(
        &'a self,
        request: &'a ConnectRequest,
        session: &'a mut dyn Session,
    ) -> BoxFuture<'a, Result<()>> {
        let _ = (request, session);
        Box::pin(ready(Ok(())))
    }

    /// Returns whether a connection must not be used any more because of what happened since it was
    /// opened; it must not wait for anything.
    fn is_outdated(&self, established: &Established) -> bool {
        let _ = established;
        false
    }

    /// Returns whether the plugin leads a connect to an instance of the role that the request asks
    /// for.
    fn leads_to_roles(&self) -> bool {
        false
    }

    /// Hears what a connection in use made its user suspect of the server; it must not wait for
    /// anything.
    fn suspect(&self, suspicion: Suspicion) {
        let _ = suspicion;
    }

    /// Adds what the plugin has counted to what its connector tells.
    fn add_stats(&self, stats: &mut Stats) {
        let _ = stats;
    }

    /// Prepares for connects to a host, such as by loading credentials, without connecting.
    ///
    /// # Errors
    ///
    /// What would fail a connect as well.
    fn warm_up<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Result<()>> {
        let _ = request;
        Box::pin(ready(Ok(())))
    }
}

/// Says what plugins need of every connection, known before any is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// The password travels as it is, so that the server has to be allowed to ask for it in clear.
    pub cleartext_password: bool,
    /// The connection has to be TLS with chain and name verified.
    pub verified_tls: bool,
    /// The plugin brings the password, so that a configured one is ignored.
    pub supplies_password: bool,
    /// The plugin brings the user along with the password, so that none has to be configured.
    pub supplies_user: bool,
}

impl Requirements {
    /// The needs of a plugin whose password is a token: sent in clear, over verified TLS.
    pub const TOKEN: Self =
        Self { cleartext_password: true, verified_tls: true, supplies_password: true, supplies_user: false };

    /// The needs of a plugin whose user and password come from a managed secret: by whatever proof
    /// the server asks for, over verified TLS.
    pub const SECRET: Self =
        Self { cleartext_password: false, verified_tls: true, supplies_password: true, supplies_user: true };

    /// Returns what the plugins of a chain together need.
    pub fn of<C: 'static>(chain: &[Arc<dyn Plugin<C>>]) -> Self {
        chain.iter().fold(Self::default(), |all, plugin| all.union(plugin.requirements()))
    }

    /// What either of two needs.
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

/// What a connect runs through.
pub(crate) struct Chain<C> {
    pub(crate) plugins: Arc<[Arc<dyn Plugin<C>>]>,
    /// Without its type, so that a plugin depends on the connection alone.
    pub(crate) driver: Arc<dyn Driver<Connection = C>>,
    /// Fails once the last connector is gone: nothing is ever sent.
    pub(crate) alive: watch::Receiver<()>,
    /// The chain over which background tasks run, if this one's driver serves one connect only.
    pub(crate) lasting: Option<Arc<Chain<C>>>,
    pub(crate) logins: Arc<Logins>,
}

impl<C: Send + 'static> Chain<C> {
    pub(crate) fn session<'c>(&self, connected: &'c mut Connected<C>) -> Fresh<'c, C> {
        Fresh { driver: Arc::clone(&self.driver), connected }
    }
}

/// One connect through a chain: what is the same for all of its plugins.
///
/// It lies in the future of the connect, so that a [`Next`] is two words, which travel in
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
    /// Keeps the request in place of the driver, to see what reaches that.
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
    /// Returns what one of them returns.
    pub fn run(self, request: ConnectRequest) -> Opening<'a, C> {
        let Self { run, at } = self;
        if let Some(plugin) = run.plugins.get(at) {
            request.progress().enter(Phase::Plugins);
            return plugin.connect(request, Next { run, at: at + 1 });
        }
        Box::pin(run.finish(request))
    }

    /// Returns a way to ask a connection that [`run`](Self::run) gave.
    pub fn session<'c>(self, connected: &'c mut Connected<C>) -> impl Session + use<'c, C> {
        self.run.chain.session(connected)
    }

    /// Returns the chain that outlives this connect, and the place of the next plugin in it.
    pub(crate) fn lasting(self) -> (&'a Arc<Chain<C>>, usize) {
        (self.run.chain.lasting.as_ref().unwrap_or(self.run.chain), self.at)
    }

    /// Fails once the last connector is gone.
    pub(crate) fn alive(self) -> &'a watch::Receiver<()> {
        &self.run.chain.alive
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
