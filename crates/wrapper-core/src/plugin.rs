//! What a plugin is, and plugins made of closures.

use std::{any::Any, fmt, fmt::Debug, future::ready, sync::Arc};

use crate::{
    BoxFuture, ConnectRequest, Connected, Established, Next, Result, Session, adapter::Suspicion,
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

/// Makes a plugin of a closure, for a one-off that needs no type.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// use wrapper_core::plugin_fn;
///
/// let connects = Arc::new(AtomicUsize::new(0));
/// let counter = Arc::clone(&connects);
/// let plugin = plugin_fn::<(), _>("count", move |request, next| {
///     counter.fetch_add(1, Ordering::Relaxed);
///     next.run(request)
/// });
/// # wrapper_core::Plugin::<()>::code(&plugin);
/// ```
pub fn plugin_fn<C, F>(code: impl Into<Arc<str>>, connect: F) -> impl Plugin<C>
where
    F: for<'a> Fn(ConnectRequest, Next<'a, C>) -> Opening<'a, C> + Send + Sync + 'static,
{
    PluginFn { code: code.into(), connect }
}

struct PluginFn<F> {
    code: Arc<str>,
    connect: F,
}

impl<F> Debug for PluginFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginFn").field(&self.code).finish()
    }
}

impl<C, F> Plugin<C> for PluginFn<F>
where
    F: for<'a> Fn(ConnectRequest, Next<'a, C>) -> Opening<'a, C> + Send + Sync + 'static,
{
    fn code(&self) -> &str {
        &self.code
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, C>) -> Opening<'a, C> {
        (self.connect)(request, next)
    }
}

// Held as trait objects everywhere; this keeps them possible.
const _: fn(&dyn Plugin<()>) = |_| ();
