//! A PostgreSQL server that clients are logged in at.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};
use wrapper_adapter::{HostList, Resolver, StringForm, SystemResolver};
use wrapper_core::{BoxFuture, ConnectRequest, Connected, Engine, Error, Registry, Result, adapter::Wrapper};

use super::{
    cancel::Cancels,
    client::{Refused, Wish, check_password, check_user, explained, send, wish},
    message::error_response,
    startup::Startup,
    upstream::{RelayDriver, Session},
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

/// As much as a client may send before its session is ready; it sends nothing, if it follows the
/// protocol.
const EARLY: usize = 1024;

/// Logs clients in at one PostgreSQL server, as one user.
pub struct PostgresTarget {
    hosts: HostList<RelayDriver>,
    upstream: Arc<Upstream>,
    request: ConnectRequest,
    /// The name of the account that runs this process: psql asks for it by default.
    account: Option<String>,
    cancels: Arc<Cancels>,
    counters: Counters,
    failures: Failures,
}

const FORM: UrlForm = UrlForm {
    engine: Engine::Postgres,
    form: StringForm::new("PostgreSQL", &["postgres", "postgresql"], false),
};

impl PostgresTarget {
    /// Reads a target from a URL, as `wrapper-pg` reads it:
    /// `postgres://user@host/database?plugins=iam`.
    ///
    /// The server's chain and name are always verified. Options of a session belong to the clients,
    /// so the URL takes none.
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
        let driver = RelayDriver::new(Arc::clone(&upstream), Startup::new("rds-iam proxy"));
        let wrapper = Wrapper::new(driver, plugins).explained_by(registry);
        let hosts = HostList::new(wrapper, vec![request.clone()], false, &options)?;
        Ok(Self {
            hosts,
            upstream,
            request,
            account: account(),
            cancels: Arc::default(),
            counters: Counters::default(),
            failures: Failures::default(),
        })
    }

    /// Logs in once; see [`Target::check`].
    ///
    /// # Errors
    ///
    /// Why the login fails, with what to check.
    pub async fn check(&self) -> Result<()> {
        let startup = Startup::new("rds-iam proxy");
        let mut session = self.connect(startup).await?.connection;
        // As libpq says goodbye; the server closes the connection in any case.
        drop(session.stream.write_all(b"X\0\0\0\x04").await);
        drop(session.stream.shutdown().await);
        Ok(())
    }

    async fn connect(&self, startup: Startup) -> Result<Connected<Session>> {
        let driver = RelayDriver::new(Arc::clone(&self.upstream), startup);
        self.hosts.with_driver(driver).connect().await
    }

    async fn admit(&self, client: &mut Local, peer: Peer, room: &Room) -> std::result::Result<Wish, Refused> {
        let wish = wish(client).await?;
        if let Wish::Session(startup) = &wish {
            check_user(client, startup, self.request.user(), self.account.as_deref()).await?;
            if let Some(password) = room.access.password_for(peer) {
                check_password(client, password).await?;
            }
        }
        Ok(wish)
    }

    async fn serve(&self, mut client: Local, peer: Peer, room: &Room) {
        let handshake = room.handshakes.begin(room.limits.max_handshakes);
        let admitted = tokio::select! {
            admitted = timeout(room.limits.handshake_timeout, self.admit(&mut client, peer, room))
                => admitted,
            () = handshake.displaced() => return self.refuse("displaced by newer clients"),
            () = room.cut.cancelled() => return,
        };
        drop(handshake);
        let startup = match admitted {
            Ok(Ok(Wish::Session(startup))) => startup,
            Ok(Ok(Wish::Cancel(key))) => {
                room.cut.run_until_cancelled(self.cancel(&key)).await;
                return;
            }
            Ok(Err(refused)) => return self.refuse(&refused.reason()),
            Err(_) => return self.refuse("did not finish its login in time"),
        };
        let Ok(_place) = room.sessions.try_acquire() else {
            let most = room.limits.max_connections;
            let message = format!("rds-iam: the proxy has {most} sessions already, its limit");
            drop(send(&mut client, &error_response("53300", &message, None)).await);
            return self.refuse("found no room");
        };
        tokio::select! {
            () = self.session(client, startup, room.limits.handshake_timeout) => {}
            () = room.cut.cancelled() => {}
        }
    }

    async fn session(&self, client: Local, startup: Startup, limit: Duration) {
        let mut client = BufReader::with_capacity(EARLY, client);
        let connected = tokio::select! {
            connected = descriptors::awaited(limit, || self.connect(startup.clone())) => connected,
            () = gone(&mut client) => return self.refuse("went before the session was ready"),
        };
        let mut session = match connected {
            Ok(connected) => connected.connection,
            Err(error) => return self.fail(&mut client, &error).await,
        };
        let to = session.to.clone();
        // Without randomness the key stays taken.
        let random = |bytes: &mut [u8]| _ = aws_lc_rs::rand::fill(bytes);
        let _key = session.key().and_then(|key| self.cancels.register(key, to, random));
        let open = self.counters.begin();
        let early = client.buffer().to_vec();
        let mut client = client.into_inner();
        let opened = async {
            client.write_all(&session.take_greeting()).await?;
            client.flush().await?;
            session.stream.write_all(&early).await?;
            session.stream.flush().await
        };
        if opened.await.is_err() {
            return;
        }
        let abort = session.abort().clone();
        serve(&mut client, &mut session.stream, &abort, &open).await;
    }

    async fn fail(&self, client: &mut BufReader<Local>, error: &Error) {
        Counters::add(&self.counters.failed_logins, 1);
        self.failures.report(&self.request, error);
        drop(send(client, &explained(error)).await);
        drop(client.shutdown().await);
    }

    async fn cancel(&self, key: &[u8]) {
        match self.cancels.forward(key, &self.upstream).await {
            Ok(true) => Counters::add(&self.counters.cancels, 1),
            Ok(false) => self.refuse("asked to cancel what is not here"),
            Err(error) => tracing::debug!(%error, "a cancel request could not be passed on"),
        }
    }

    fn refuse(&self, reason: &str) {
        Counters::add(&self.counters.refused_clients, 1);
        tracing::debug!(reason, "a client was refused");
    }
}

/// Ends when the client has gone; one that has only sent something early stays.
async fn gone(client: &mut BufReader<Local>) {
    match client.fill_buf().await {
        Ok([]) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

impl Serve for PostgresTarget {
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
        Engine::Postgres
    }

    fn socket_file(&self) -> String {
        format!(".s.PGSQL.{}", self.request.port())
    }

    fn stats(&self) -> Stats {
        self.counters.read()
    }
}

impl From<PostgresTarget> for Target {
    fn from(target: PostgresTarget) -> Self {
        Self(Arc::new(target))
    }
}

impl fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTarget").field("user", &self.request.user()).finish_non_exhaustive()
    }
}
