//! A MySQL server that clients are logged in at.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, time::timeout};
use wrapper_adapter::{HostList, Resolver, StringForm, SystemResolver};
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Engine, Error, ErrorKind, Registry, Result, adapter::Wrapper,
};

use super::{
    client::{Admitted, admit, answer, answer_before_greeting, explained},
    packet::send,
    upstream::{Opened, RelayDriver, Session, Waiting, take},
};
use crate::{
    access::Peer,
    descriptors,
    failures::Failures,
    listen::Local,
    proxy::{Room, Serve, Target},
    relay::serve,
    source::UrlForm,
    stats::{Counters, Stats},
    upstream::{Source, Upstream, account},
};

/// Logs clients in at one MySQL or MariaDB server, as one user.
pub struct MysqlTarget {
    hosts: HostList<RelayDriver>,
    upstream: Arc<Upstream>,
    request: ConnectRequest,
    /// The name of the account that runs this process: clients ask for it by default.
    account: Option<String>,
    counters: Counters,
    failures: Failures,
}

const FORM: UrlForm = UrlForm { engine: Engine::Mysql, form: StringForm::new("MySQL", &["mysql"], false) };

impl MysqlTarget {
    /// Reads a target from a URL, as `wrapper-mysql` reads it:
    /// `mysql://user@host/database?plugins=iam`.
    ///
    /// The server's chain and name are always verified. Options of a session belong to the clients,
    /// so the URL takes none. Plugins that ask a session, such as those of topology, do so before
    /// the client has it, so that clients are not offered compression then.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter and the remedy.
    pub fn from_url(url: &str, registry: Registry<Session>) -> Result<Self> {
        Self::from_url_with_resolver(url, registry, SystemResolver)
    }

    /// Does the same with a resolver of one's own for the names of hosts.
    ///
    /// # Errors
    ///
    /// As [`from_url`](Self::from_url).
    pub fn from_url_with_resolver(
        url: &str,
        registry: Registry<Session>,
        resolver: impl Resolver,
    ) -> Result<Self> {
        let Source { request, plugins, options, upstream } =
            Source::read(&FORM, url, &registry, Arc::new(resolver))?;
        let driver = RelayDriver::own(Arc::clone(&upstream));
        let wrapper = Wrapper::new(driver, plugins).explained_by(registry);
        let hosts = HostList::new(wrapper, vec![request.clone()], false, &options)?;
        let (counters, failures) = (Counters::default(), Failures::default());
        Ok(Self { hosts, upstream, request, account: account(), counters, failures })
    }

    /// Logs in once; see [`Target::check`].
    ///
    /// # Errors
    ///
    /// Why the login fails, with what to check.
    pub async fn check(&self) -> Result<()> {
        let mut session = self.hosts.connect().await?.connection;
        // COM_QUIT; the server closes the connection in any case.
        drop(send(&mut session.stream, 0, &[1]).await);
        drop(session.stream.shutdown().await);
        Ok(())
    }

    /// Opens the connection whose greeting a client is to read.
    async fn opened(&self) -> Result<Opened> {
        let request = self.request.clone();
        let open = |address| -> BoxFuture<'_, Result<Opened>> {
            Box::pin(Opened::connect(address, &request, &self.upstream))
        };
        let limit = self.hosts.timeout();
        timeout(limit, self.upstream.dialer.dial(&request, open)).await.unwrap_or_else(|_| {
            let message = format!("{} did not greet within {limit:?}", request.address_label());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    async fn serve(&self, mut client: Local, peer: Peer, room: &Room) {
        let limit = room.limits.handshake_timeout;
        let handshake = room.handshakes.begin(room.limits.max_handshakes);
        let opened = tokio::select! {
            opened = descriptors::awaited(limit, || self.opened()) => opened,
            () = handshake.displaced() => return self.refuse("displaced by newer clients"),
            () = room.cut.cancelled() => return,
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let (code, _, text) = explained(&error);
                drop(send(&mut client, 0, &answer_before_greeting(code, &text)).await);
                return self.fail(&error);
            }
        };
        let greeting = opened.greeting.clone();
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(Some(opened)));
        let password = room.access.password_for(peer);
        let admission = admit(&mut client, &greeting, self.request.user(), self.account.as_deref(), password);
        let admitted = tokio::select! {
            admitted = timeout(limit, admission) => admitted,
            () = handshake.displaced() => {
                self.refuse("displaced by newer clients");
                return dismiss(&waiting).await;
            }
            () = room.cut.cancelled() => return dismiss(&waiting).await,
        };
        drop(handshake);
        let admitted = match admitted {
            Ok(Ok(admitted)) => admitted,
            Ok(Err(refused)) => {
                self.refuse(&refused.reason());
                return dismiss(&waiting).await;
            }
            Err(_) => {
                self.refuse("did not finish its login in time");
                return dismiss(&waiting).await;
            }
        };
        let Ok(_place) = room.sessions.try_acquire() else {
            let most = room.limits.max_connections;
            let text = format!("rds-iam: the proxy has {most} sessions already, its limit");
            drop(send(&mut client, admitted.next, &answer(1040, "08004", &text)).await);
            self.refuse("found no room");
            return dismiss(&waiting).await;
        };
        tokio::select! {
            () = self.session(client, admitted, &waiting, limit) => {}
            () = room.cut.cancelled() => {}
        }
        // Where the login never got as far as the server.
        dismiss(&waiting).await;
    }

    /// Serves a client that may have a session.
    ///
    /// A client that goes meanwhile is not waited for, but neither is the login broken off: the
    /// server would count that.
    async fn session(&self, mut client: Local, admitted: Admitted, waiting: &Arc<Waiting>, limit: Duration) {
        let Admitted { login, next } = admitted;
        let driver = RelayDriver::new(Arc::clone(&self.upstream), login, Arc::clone(waiting));
        let hosts = self.hosts.with_driver(driver);
        let connected: Result<Connected<Session>> = descriptors::awaited(limit, || hosts.connect()).await;
        let mut session = match connected {
            Ok(connected) => connected.connection,
            Err(error) => {
                let (code, state, text) = explained(&error);
                drop(send(&mut client, next, &answer(code, state, &text)).await);
                drop(client.shutdown().await);
                return self.fail(&error);
            }
        };
        let open = self.counters.begin();
        // The server's own, by the client's count; everything behind it is the same on both sides,
        // compression included.
        if send(&mut client, next, &session.ok).await.is_err() {
            return;
        }
        let abort = session.abort.clone();
        serve(&mut client, &mut session.stream, &abort, &open).await;
    }

    fn fail(&self, error: &Error) {
        Counters::add(&self.counters.failed_logins, 1);
        self.failures.report(&self.request, error);
    }

    fn refuse(&self, reason: &str) {
        Counters::add(&self.counters.refused_clients, 1);
        tracing::debug!(reason, "a client was refused");
    }
}

/// Ends the connection that waited for a login which does not come.
async fn dismiss(waiting: &Waiting) {
    if let Some(opened) = take(waiting) {
        opened.dismiss().await;
    }
}

impl Serve for MysqlTarget {
    fn serve<'a>(&'a self, client: Local, peer: Peer, room: &'a Room) -> BoxFuture<'a, ()> {
        Box::pin(self.serve(client, peer, room))
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.check())
    }

    fn request(&self) -> &ConnectRequest {
        &self.request
    }

    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    fn socket_file(&self) -> String {
        "mysql.sock".to_owned()
    }

    fn stats(&self) -> Stats {
        self.counters.read()
    }
}

impl From<MysqlTarget> for Target {
    fn from(target: MysqlTarget) -> Self {
        Self(Arc::new(target))
    }
}

impl fmt::Debug for MysqlTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlTarget").field("user", &self.request.user()).finish_non_exhaustive()
    }
}
