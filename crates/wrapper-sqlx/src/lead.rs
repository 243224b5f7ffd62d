//! Leading a pool to its cluster's writer, by the plugin `failover2` over connections that only its
//! monitor uses.

use std::{future::pending, sync::Arc, time::Duration};

use sqlx::{Connection, error::Error as SqlxError};
use tokio::time::{Instant, sleep};
use wrapper_adapter::LoginAnswer;
use wrapper_core::{
    BoxFuture, ConnectRequest, Connected, Error, ErrorKind, Plugin, Result, ServerError,
    adapter::{Driver, Phase, Rows, Transport, Wrapper},
};
use wrapper_topology::Topology;

use crate::{
    Engine,
    engine::{DriverOptions, sealed},
    session::code,
};

/// How long one look at where the writer is may take.
const LOOK: Duration = Duration::from_secs(30);

/// How often to look though nothing changed: a monitor ends after 15 minutes without a connect.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);

/// Opens connections of sqlx for the chain, with the options of the pool.
pub(crate) struct SqlxDriver<D: Engine> {
    options: DriverOptions<D>,
    /// Whether the password is a secret's, which needs no proof in clear.
    has_secret: bool,
}

impl<D: Engine> Driver for SqlxDriver<D> {
    type Connection = D::Connection;

    fn engine(&self) -> wrapper_core::Engine {
        D::ENGINE
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<D::Connection>> {
        Box::pin(async move {
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
            opened.map_err(|error| connect_error::<D>(error, &request, password))
        })
    }

    fn query<'a>(&'a self, connection: &'a mut D::Connection, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        <D as sealed::Driver>::query(connection, sql)
    }
}

fn connect_error<D: Engine>(error: SqlxError, request: &ConnectRequest, password: &str) -> Error {
    let label = request.address_label();
    match error {
        SqlxError::Database(answer) => {
            let code = code(&*answer);
            let said = ServerError::new(&code, answer.message(), [password]);
            LoginAnswer::new(D::ENGINE, &code, answer.message()).refused(said, request)
        }
        SqlxError::Tls(_) => {
            let message = format!("the TLS handshake with {label} failed");
            Error::new(ErrorKind::Tls, message).with_source(error)
        }
        error => Error::new(ErrorKind::Connect, format!("no connection to {label}")).with_source(error),
    }
}

/// Knows where the writer of a pool's cluster is.
pub(crate) struct Lead<D: Engine> {
    wrapper: Wrapper<SqlxDriver<D>>,
    topology: Topology,
    request: ConnectRequest,
}

impl<D: Engine> Lead<D> {
    pub(crate) fn new(
        options: DriverOptions<D>,
        has_secret: bool,
        chain: Vec<Arc<dyn Plugin<D::Connection>>>,
        topology: Topology,
        request: ConnectRequest,
    ) -> Self {
        let driver = SqlxDriver { options, has_secret };
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
        let known = self.topology.snapshot();
        known.epoch() > 1 && known.epoch_began().is_some_and(|began| began.elapsed() < age)
    }

    /// Returns the request that leads to the writer that is known.
    pub(crate) fn writer(&self) -> Option<ConnectRequest> {
        let known = self.topology.snapshot();
        let writer = known.writer()?;
        Some(self.to((writer.host(), writer.port()), Some(writer.id())))
    }

    /// Opens a connection and returns the request that leads to where the writer was found: the
    /// endpoint, if the instance cannot be reached by its own name.
    pub(crate) async fn look(&self) -> Result<ConnectRequest> {
        let found = self.open().await?.established;
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

/// Waits until there is a reason to look where the writer is, and returns whether it is that it
/// changed.
pub(crate) async fn reason_to_look<D: Engine>(lead: Option<&Lead<D>>) -> bool {
    let Some(lead) = lead else { return pending().await };
    tokio::select! {
        _ = lead.topology.changed() => true,
        () = sleep(LOOK_EVERY) => false,
    }
}
