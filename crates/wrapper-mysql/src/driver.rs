//! The driver's end of the chain.

use std::{fmt, net::SocketAddr, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use mysql_async::{Conn, Opts, OptsBuilder};
use wrapper_core::{BoxFuture, ConnectRequest, Dialer, Driver, Phase, Result, Roots, Transport};

use crate::{
    error::{connect_error, panicked},
    source::DEFAULT_PORT,
};

/// Opens MySQL connections for options without a host.
pub struct MysqlDriver {
    /// Built once: clones share the TLS connector in it, which takes tens of milliseconds to build.
    base: Opts,
    roots: Roots,
    transport: Transport,
    dialer: Dialer,
}

impl MysqlDriver {
    pub(crate) fn new(base: Opts, roots: Roots, transport: Transport, dialer: Dialer) -> Self {
        Self { base, roots, transport, dialer }
    }

    async fn connect_host(&self, request: &ConnectRequest) -> Result<Conn> {
        // The driver verifies the certificate against the host and dials the address.
        let mut builder = OptsBuilder::from_opts(self.base.clone())
            .ip_or_hostname(request.tls_name())
            .tcp_port(request.port())
            .user(Some(request.user()));
        if let Some(database) = request.database() {
            builder = builder.db_name(Some(database));
        }
        if let Some(password) = request.password() {
            builder = builder.pass(Some(password.expose_for(self.transport)?));
        }
        if self.base.socket().is_some() {
            return self.open(builder, request).await;
        }
        let open = |address: SocketAddr| -> BoxFuture<'_, Result<Conn>> {
            let builder = builder.clone().resolved_ips(Some([address.ip()]));
            Box::pin(self.open(builder, request))
        };
        self.dialer.dial(request, open).await
    }

    async fn open(&self, builder: OptsBuilder, request: &ConnectRequest) -> Result<Conn> {
        request.progress().enter(Phase::Open);
        // Nothing of ours lives in the future, so that a panic leaves nothing half done.
        match AssertUnwindSafe(Conn::new(builder)).catch_unwind().await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(connect_error(error, request, &self.roots)),
            Err(_) => Err(panicked(request)),
        }
    }
}

impl Driver for MysqlDriver {
    type Connection = Conn;

    fn default_port(&self) -> u16 {
        DEFAULT_PORT
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Conn>> {
        Box::pin(async move { self.connect_host(&request).await })
    }
}

// The driver's `Debug` of its options prints the password.
impl fmt::Debug for MysqlDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlDriver")
            .field("transport", &self.transport)
            .field("roots", &self.roots.to_string())
            .finish_non_exhaustive()
    }
}
