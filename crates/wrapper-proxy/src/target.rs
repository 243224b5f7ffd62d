//! Servers that clients are logged in at.

use std::{fmt, sync::Arc};

use tokio_util::task::TaskTracker;
use wrapper_adapter::{HostList, Resolver, SystemResolver};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Error, Registry, Result,
    adapter::{Driver, Wrapper},
};

use crate::{
    access::Peer,
    admission::{Refused, UserNames},
    failures::Failures,
    listen::Local,
    proxy::ProxyState,
    source::UrlForm,
    stats::{Counters, Stats},
    upstream::{Source, Upstream},
};

/// Logs clients in at one server, as one user; `S` is a session of its engine.
///
/// Use it by the name of the engine: [`PostgresTarget`](crate::postgres::PostgresTarget) or
/// [`MysqlTarget`](crate::mysql::MysqlTarget).
pub struct EngineTarget<S: Relay> {
    pub(crate) hosts: HostList<S::Driver>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) request: ConnectRequest,
    pub(crate) names: UserNames,
    pub(crate) counters: Counters,
    pub(crate) shared: S::Shared,
    failures: Failures,
}

/// What differs between the engines; implemented by their sessions.
pub trait Relay: Sized + Send + 'static {
    /// Opens sessions, for one client or for the proxy itself.
    type Driver: Driver<Connection = Self>;

    /// What the sessions of one target share beside its counters.
    type Shared: Default + Send + Sync;

    /// What the engine's URLs look like.
    const FORM: UrlForm;

    /// Creates the driver for sessions of the proxy itself: checks and monitors.
    fn own_driver(upstream: Arc<Upstream>) -> Self::Driver;

    /// Returns the file name that the engine's clients expect of a Unix socket.
    fn socket_file(port: u16) -> String;

    /// Ends a session of the proxy itself.
    fn quit(self) -> impl Future<Output = ()> + Send;

    /// Serves one client until it or its session ends.
    fn serve(
        target: &EngineTarget<Self>,
        client: Local,
        peer: Peer,
        state: &ProxyState,
    ) -> impl Future<Output = ()> + Send;
}

impl<S: Relay> EngineTarget<S> {
    /// Reads a target from a URL, such as `postgres://user@host/database?plugins=iam`, as the
    /// engine's adapter reads it.
    ///
    /// The server's certificate chain and name are always verified. Session options belong to the
    /// clients, so the URL takes none. Plugins that query a session, such as those of topology, do
    /// so before the client has it; MySQL clients are not offered compression then.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter and the remedy.
    pub fn from_url(url: &str, registry: Registry<S>) -> Result<Self> {
        Self::from_url_with_resolver(url, registry, SystemResolver)
    }

    /// Reads a target from a URL, with another resolver for host names than the system's.
    ///
    /// # Errors
    ///
    /// As [`from_url`](Self::from_url).
    pub fn from_url_with_resolver(url: &str, registry: Registry<S>, resolver: impl Resolver) -> Result<Self> {
        let Source { request, plugins, options, upstream } =
            Source::read(&S::FORM, url, &registry, Arc::new(resolver))?;
        let driver = S::own_driver(Arc::clone(&upstream));
        let wrapper = Wrapper::new(driver, plugins).explained_by(registry);
        let hosts = HostList::new(wrapper, vec![request.clone()], false, &options)?;
        let names = UserNames::of(request.user());
        let (counters, failures) = (Counters::default(), Failures::default());
        Ok(Self { hosts, upstream, request, names, counters, shared: S::Shared::default(), failures })
    }

    /// Logs in once; see [`Target::check`].
    ///
    /// # Errors
    ///
    /// The reason why the login fails, with what to check.
    pub async fn check(&self) -> Result<()> {
        self.hosts.connect().await?.connection.quit().await;
        Ok(())
    }

    /// Counts and logs a client whose login at the server failed.
    pub(crate) fn fail(&self, error: &Error) {
        Counters::add(&self.counters.failed_logins, 1);
        self.failures.report(&self.request, error);
    }

    /// Counts and logs a client that got no login at the server.
    pub(crate) fn refuse(&self, refused: &Refused) {
        Counters::add(&self.counters.refused_clients, 1);
        tracing::debug!(reason = %refused, "client refused");
    }
}

/// The targets of both engines, as the proxy sees them.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Serves one client until it or its session ends.
    fn serve<'a>(&'a self, client: Local, peer: Peer, state: &'a ProxyState) -> BoxFuture<'a, ()>;

    /// Logs in once, as for a client.
    fn check(&self) -> BoxFuture<'_, Result<()>>;

    /// Returns where clients are logged in, and as whom.
    fn request(&self) -> &ConnectRequest;

    /// Returns the engine whose clients are served.
    fn engine(&self) -> Engine;

    /// Returns the file name that the engine's clients expect of a Unix socket.
    fn socket_file(&self) -> String;

    /// Returns the counts so far.
    fn stats(&self) -> Stats;

    /// Ends the tasks of plugins with their sessions; no client is logged in any more.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Returns the sessions without a client that are being ended.
    fn goodbyes(&self) -> &TaskTracker;
}

impl<S: Relay> Serve for EngineTarget<S> {
    fn serve<'a>(&'a self, client: Local, peer: Peer, state: &'a ProxyState) -> BoxFuture<'a, ()> {
        Box::pin(S::serve(self, client, peer, state))
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.check())
    }

    fn request(&self) -> &ConnectRequest {
        &self.request
    }

    fn engine(&self) -> Engine {
        S::FORM.engine
    }

    fn socket_file(&self) -> String {
        S::socket_file(self.request.port())
    }

    fn stats(&self) -> Stats {
        self.counters.read()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.hosts.close())
    }

    fn goodbyes(&self) -> &TaskTracker {
        &self.upstream.goodbyes
    }
}

/// A target of either engine; clones are the same target, which may listen at several addresses of
/// one proxy, and is closed when that ends.
#[derive(Clone)]
pub struct Target(pub(crate) Arc<dyn Serve>);

impl Target {
    /// Logs in once, as for a client, so that a wrong policy is reported at start-up rather than
    /// to the first client.
    ///
    /// # Errors
    ///
    /// The reason why the login fails, with what to check.
    pub async fn check(&self) -> Result<()> {
        self.0.check().await
    }

    /// Returns the engine whose clients are served.
    pub fn engine(&self) -> Engine {
        self.0.engine()
    }

    /// Returns the host that clients are logged in at.
    pub fn host(&self) -> &str {
        self.0.request().host()
    }

    /// Returns the port of that host.
    pub fn port(&self) -> u16 {
        self.0.request().port()
    }

    /// Returns the user that clients are logged in as.
    pub fn user(&self) -> &str {
        self.0.request().user()
    }

    /// Returns the database for clients that name none.
    pub fn database(&self) -> Option<&str> {
        self.0.request().database()
    }
}

impl<S: Relay> From<EngineTarget<S>> for Target {
    fn from(target: EngineTarget<S>) -> Self {
        Self(Arc::new(target))
    }
}

impl<S: Relay> fmt::Debug for EngineTarget<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineTarget")
            .field("engine", &S::FORM.engine)
            .field("user", &self.request.user())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("engine", &self.engine())
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the size of what every client of a target costs as long as it is served.
    fn size<'a, S: Relay, F: Future>(
        _: impl FnOnce(&'a EngineTarget<S>, Local, Peer, &'a ProxyState) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn futures_of_idle_sessions_are_small() {
        let mysql = size(<crate::mysql::Session as Relay>::serve);
        let postgres = size(<crate::postgres::Session as Relay>::serve);

        // Those of their logins are three to six times as large, and boxed for that reason.
        assert!(mysql <= 5 * 1024 && postgres <= 5 * 1024, "{mysql}, {postgres}");
    }
}
