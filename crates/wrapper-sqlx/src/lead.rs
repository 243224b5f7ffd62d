//! Selection of the cluster's writer for a pool, by the plugin `failover2` over connections of its
//! own monitor.

use std::{future::pending, sync::Arc, time::Duration};

use sqlx::{Connection, error::Error as SqlxError};
use tokio::time::{Instant, sleep_until, timeout};
use wrapper_adapter::{LoginAnswer, Roots};
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Plugin, Result, ServerError,
    adapter::{Driver, Phase, Rows, Transport, Wrapper},
};
use wrapper_topology::Topology;

use crate::{
    Engine,
    diagnosis::{handshake_failed, tls_failure},
    engine::{DriverOptions, sealed},
    session::code,
};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// The time limit for finding the writer.
const LOOK: Duration = Duration::from_secs(30);

/// How often to look without a change: a monitor rests after 15 minutes without a connect.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);

/// Opens connections of sqlx for the chain, with the options of the pool.
pub(crate) struct SqlxDriver<D: Engine> {
    options: DriverOptions<D>,
    /// Whether the password is a secret's, which needs no cleartext authentication.
    has_secret: bool,
    roots: Roots,
}

impl<D: Engine> SqlxDriver<D> {
    pub(crate) fn new(options: DriverOptions<D>, has_secret: bool, roots: Roots) -> Self {
        Self { options, has_secret, roots }
    }
}

impl<D: Engine> Driver for SqlxDriver<D> {
    type Connection = D::Connection;

    fn engine(&self) -> wrapper_core::Engine {
        D::ENGINE
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<D::Connection>> {
        Box::pin(async move {
            // The dialled name is the verified one: sqlx has no other server name.
            let options = D::at(self.options.clone(), request.host(), request.port());
            // The pool's options verify the certificate and the name that is dialled.
            let password = request.password().map(|password| password.expose_for(Transport::VerifiedTls));
            let password = password.transpose()?.unwrap_or_default();
            let options = match self.has_secret {
                true => D::with_user(options, request.user(), password),
                false => D::with_password(options, password),
            };
            request.progress().enter(Phase::Open);
            let opened = D::Connection::connect_with(&options).await;
            opened.map_err(|error| connect_error::<D>(error, &request, password, &self.roots))
        })
    }

    fn query<'a>(&'a self, connection: &'a mut D::Connection, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        <D as sealed::Driver>::query(connection, sql)
    }

    fn close(&self, connection: D::Connection) -> BoxFuture<'_, ()> {
        Box::pin(close(connection))
    }
}

/// Closes a connection in order, within [`GOODBYE`].
async fn close(connection: impl Connection) {
    // Errors of the goodbye are ignored: nobody uses the connection.
    drop(timeout(GOODBYE, connection.close()).await);
}

fn connect_error<D: Engine>(
    error: SqlxError,
    request: &ConnectRequest,
    password: &str,
    roots: &Roots,
) -> Error {
    // First, because sqlx also reports a failed handshake as an I/O error.
    if let Some(failure) = tls_failure(&error) {
        return handshake_failed(failure, error, request, roots);
    }
    let label = request.address_label();
    match error {
        SqlxError::Database(answer) => {
            let code = code(&*answer);
            // Blanked before anything else: a server may repeat the token.
            let said = ServerError::new(&code, answer.message(), [password]);
            LoginAnswer::new(D::ENGINE, &code, answer.message()).refused(said, request)
        }
        error => Error::new(ErrorKind::Connect, format!("could not connect to {label}")).with_source(error),
    }
}

/// Finds the writer of a pool's cluster.
pub(crate) struct Lead<D: Engine> {
    wrapper: Wrapper<SqlxDriver<D>>,
    topology: Topology,
    request: ConnectRequest,
}

impl<D: Engine> Lead<D> {
    pub(crate) fn new(
        driver: SqlxDriver<D>,
        chain: Vec<Arc<dyn Plugin<D::Connection>>>,
        topology: Topology,
        request: ConnectRequest,
    ) -> Self {
        Self { wrapper: Wrapper::new(driver, chain), topology, request }
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Opens a connection to the writer, which also starts the monitor.
    pub(crate) async fn open(&self) -> Result<Connected<D::Connection>> {
        self.wrapper.connect(self.request.clone().begin(Instant::now() + LOOK)).await
    }

    /// Returns whether a connection of this age was opened before the writer changed.
    pub(crate) fn is_outdated(&self, age: Duration) -> bool {
        // The first epoch begins when a writer is first seen, which outdates nothing.
        let known = self.topology.snapshot();
        known.epoch() > 1 && known.epoch_began().is_some_and(|began| began.elapsed() < age)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.topology.snapshot().epoch()
    }

    /// Returns the request for the known writer.
    pub(crate) fn writer(&self) -> Option<ConnectRequest> {
        let known = self.topology.snapshot();
        let writer = known.writer()?;
        Some(self.to((writer.host(), writer.port()), Some(writer.id())))
    }

    /// Opens a connection and returns the request for the writer that it found: by the endpoint, if
    /// the instance cannot be reached by its own name.
    pub(crate) async fn look(&self) -> Result<ConnectRequest> {
        let Connected { connection, established: found, .. } = self.open().await?;
        // Beside the pool, which a server that freezes now must not keep from the writer.
        tokio::spawn(close(connection));
        Ok(self.to((found.host(), found.port()), found.instance()))
    }

    fn to(&self, (host, port): (&str, u16), instance: Option<&str>) -> ConnectRequest {
        let request = self.request.clone().with_host(host).with_port(port);
        match instance {
            Some(instance) => request.with_instance(instance),
            None => request,
        }
    }
}

/// The last change that a pool followed, and the time of its next look without one.
pub(crate) struct Watch {
    epoch: u64,
    look_at: Instant,
}

impl Watch {
    /// Starts after the first look, which leads the pool to the writer of the first epoch; `before`
    /// is the epoch before that look.
    pub(crate) fn start<D: Engine>(lead: Option<&Lead<D>>, before: u64) -> Self {
        let epoch = lead.map_or(0, Lead::epoch).min(1).max(before);
        Self { epoch, look_at: Instant::now() + LOOK_EVERY }
    }

    /// Waits for a reason to find the writer again, and returns whether it is a change; one since
    /// the last call counts.
    pub(crate) async fn reason_to_look<D: Engine>(&mut self, lead: Option<&Lead<D>>) -> bool {
        // Without a topology only the timer of the caller's `select!` ends the wait.
        let Some(lead) = lead else { return pending().await };
        let is_changed = tokio::select! {
            known = lead.topology.changed_since(self.epoch) => {
                self.epoch = known.epoch();
                true
            }
            // An instant and not a duration: the caller checks its token more often and starts
            // this wait again each time.
            () = sleep_until(self.look_at) => false,
        };
        self.look_at = Instant::now() + LOOK_EVERY;
        is_changed
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use std::{slice, sync::Mutex};

    use sqlx::{Postgres, postgres::PgConnectOptions};
    use tokio::time::{sleep, timeout};
    use wrapper_core::{
        Registry,
        adapter::{MockDriver, RawParameters},
    };
    use wrapper_topology::FailoverFactory;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn request() -> ConnectRequest {
        ConnectRequest::new("a.example", 5432, "app")
    }

    /// A lead that shares a topology, whose monitor it never starts.
    fn lead(topology: &Topology) -> Lead<Postgres> {
        let driver = SqlxDriver::new(PgConnectOptions::new_without_pgpass(), true, Roots::system());
        Lead::new(driver, Vec::new(), topology.clone(), request())
    }

    #[tokio::test(start_paused = true)]
    async fn pool_without_a_change_looks_every_ten_minutes_however_often_its_token_is_checked() {
        let topology = Topology::fixed("a.example:5432", ["b.example:5432"]).expect("are hosts");
        let lead = lead(&topology);
        let mut watch = Watch::start(Some(&lead), 0);
        let (begun, mut looks) = (Instant::now(), Vec::new());

        while begun.elapsed() < 35 * MINUTE {
            tokio::select! {
                is_changed = watch.reason_to_look(Some(&lead)) => {
                    looks.push((begun.elapsed().as_secs(), is_changed));
                }
                () = sleep(MINUTE / 4) => {}
            }
        }

        assert_eq!(looks, [(600, false), (1_200, false), (1_800, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn change_of_the_writer_that_nobody_waited_for_is_a_reason_to_look() {
        let topology = Topology::fixed("a.example:5432", ["b.example:5432"]).expect("are hosts");
        let writer = Arc::new(Mutex::new("a.example"));
        let (driver, known) = (MockDriver::new(), Arc::clone(&writer));
        driver.answer(move |request, _| {
            let is_writer = request.host() == *known.lock().expect("no panic");
            let mut rows = Rows::new(["in_recovery"]);
            rows.push([Some(if is_writer { "f" } else { "t" })])?;
            Ok(rows)
        });
        let registry = Registry::new().with(FailoverFactory::new(topology.clone()));
        let mut given = RawParameters::new();
        given.set("plugins", "failover2").expect("is set");
        let (plugins, _) = registry.build(&given, slice::from_ref(&request())).expect("builds");
        let monitored = Wrapper::new(driver, plugins);
        monitored.connect(request().begin(Instant::now() + LOOK)).await.expect("is led");
        assert_eq!(topology.changed_since(0).await.epoch(), 1);
        let lead = lead(&topology);
        let mut watch = Watch::start(Some(&lead), 0);

        // As during a refresh or a look of the pool.
        *writer.lock().expect("no panic") = "b.example";
        topology.suspect();
        assert_eq!(topology.changed_since(1).await.epoch(), 2);

        assert_eq!(timeout(MINUTE, watch.reason_to_look(Some(&lead))).await, Ok(true));
        assert!(timeout(MINUTE, watch.reason_to_look(Some(&lead))).await.is_err(), "once for a change");
    }
}
