//! The driver's end of the chain.

use std::{fmt, net::SocketAddr};

use mysql_async::{Conn, Opts, OptsBuilder};
use wrapper_core::{BoxFuture, ConnectRequest, Dialer, Driver, Phase, Result, Roots, Transport};

use crate::{
    error::{connect_error, panicked},
    opening,
    source::DEFAULT_PORT,
};

/// The most that MySQL allows: the server says no to what is over its own limit. The driver's default of 4 MiB would refuse what a server takes.
const MAX_ALLOWED_PACKET: usize = 1 << 30;

/// The default of MySQL and of the driver, in seconds; it counts for the driver's own pool only, which is not used.
const WAIT_TIMEOUT: usize = 28_800;

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
        let base = without_questions(base);
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
        } else if !request.is_configured_user() {
            // A configured password is not this user's.
            builder = builder.pass(None::<String>);
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
        match opening::open(builder.into()).await {
            Some(Ok(connection)) => Ok(connection),
            Some(Err(error)) => Err(connect_error(error, request, &self.roots)),
            None => Err(panicked(request)),
        }
    }
}

/// Answers what the driver would ask a server for after each login, where the options do not: a round trip less.
fn without_questions(base: Opts) -> Opts {
    let packet = base.max_allowed_packet().unwrap_or(MAX_ALLOWED_PACKET);
    let idle = base.wait_timeout().unwrap_or(WAIT_TIMEOUT);
    OptsBuilder::from_opts(base).max_allowed_packet(Some(packet)).wait_timeout(Some(idle)).into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_widest_unless_given() {
        let limits = |url| {
            let opts = without_questions(Opts::from_url(url).expect("parses"));
            (opts.max_allowed_packet(), opts.wait_timeout())
        };

        assert_eq!(limits("mysql://h"), (Some(1 << 30), Some(28_800)));
        let given = "mysql://h?max_allowed_packet=4096&wait_timeout=60";
        assert_eq!(limits(given), (Some(4096), Some(60)));
    }
}
