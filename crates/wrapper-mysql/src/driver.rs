//! The driver's end of the chain.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use mysql_async::{Conn, Opts, OptsBuilder};
use wrapper_adapter::{Dialer, Trust, other_service};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Password, Result,
    adapter::{Driver, Phase, Rows, Transport},
};

use crate::{
    DriverConfig,
    error::{connect_error, is_malformed_packet, is_unknown_issuer, panicked},
    opening, session,
    slow_server::SlowServer,
};

/// The most that MySQL allows: a server refuses larger packets by itself. The driver's default of
/// 4 MiB would refuse packets that a server accepts.
const MAX_ALLOWED_PACKET: usize = 1 << 30;

/// The default of MySQL and of the driver, in seconds; it counts for the driver's own pool only,
/// which is not used.
const WAIT_TIMEOUT: usize = 28_800;

/// Opens MySQL connections for options without a host.
pub struct MysqlDriver {
    /// Built once: clones share the TLS connector in it, which takes tens of milliseconds to build.
    base: Trust<Opts>,
    transport: Transport,
    dialer: Dialer,
    slow_server: SlowServer,
}

impl MysqlDriver {
    pub(crate) fn new(base: Trust<Opts>, transport: Transport, dialer: Dialer) -> Self {
        Self { base, transport, dialer, slow_server: SlowServer::default() }
    }

    async fn connect_host(&self, request: &ConnectRequest) -> Result<Conn> {
        if self.base.current().made.socket().is_some() {
            return self.open(request, &[]).await;
        }
        let open = |address: SocketAddr| -> BoxFuture<'_, Result<Conn>> {
            Box::pin(async move { self.open(request, &[address.ip()]).await })
        };
        self.dialer.dial(request, open).await
    }

    /// Returns the options for a program that connects by itself.
    pub(crate) async fn driver_config(&self, request: &ConnectRequest) -> Result<DriverConfig> {
        let base = &self.base.current().made;
        let addresses = match base.socket() {
            Some(_) => Vec::new(),
            None => self.dialer.addresses_to_tell(request).await?,
        };
        let good_until = request.password().and_then(Password::good_until);
        Ok(DriverConfig::new(self.opts(base, request, &addresses)?, good_until))
    }

    /// Returns the options for one connect to one of these addresses; without any the driver
    /// resolves the host.
    fn opts(&self, base: &Opts, request: &ConnectRequest, addresses: &[IpAddr]) -> Result<Opts> {
        // The driver verifies the certificate against the host and dials the address.
        let mut builder = OptsBuilder::from_opts(base.clone())
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
        if !addresses.is_empty() {
            builder = builder.resolved_ips(Some(addresses));
        }
        Ok(builder.into())
    }

    async fn open(&self, request: &ConnectRequest, addresses: &[IpAddr]) -> Result<Conn> {
        let mut trusted = self.base.current();
        loop {
            request.progress().enter(Phase::Open);
            let opts = self.opts(&trusted.made, request, addresses)?;
            let opened = tokio::select! {
                opened = opening::open(opts) => opened,
                Some(error) = self.slow_server.other_service(request) => return Err(error),
            };
            let error = match opened {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(lacking) => return Err(lacking.unwrap_or_else(|| panicked(request))),
            };
            // Nothing was sent to a server whose issuer is unknown, so retrying is safe; its
            // authority may have been replaced, and the roots reloaded.
            if is_unknown_issuer(&error)
                && let Some(newer) = self.base.renewed(&trusted).await
            {
                trusted = newer;
                continue;
            }
            let is_malformed_packet = is_malformed_packet(&error);
            let error = connect_error(error, request, &trusted.roots);
            return match is_malformed_packet {
                true => Err(other_service(Engine::Mysql, request).await.unwrap_or(error)),
                false => Err(error),
            };
        }
    }
}

/// Sets the options that the driver would otherwise query after each login, which saves a round
/// trip.
pub(crate) fn without_questions(base: Opts) -> Opts {
    let packet = base.max_allowed_packet().unwrap_or(MAX_ALLOWED_PACKET);
    let idle = base.wait_timeout().unwrap_or(WAIT_TIMEOUT);
    OptsBuilder::from_opts(base).max_allowed_packet(Some(packet)).wait_timeout(Some(idle)).into()
}

impl Driver for MysqlDriver {
    type Connection = Conn;

    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<Conn>> {
        Box::pin(async move { self.connect_host(&request).await })
    }

    fn query<'a>(&'a self, connection: &'a mut Conn, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(session::query(connection, sql))
    }

    fn close(&self, connection: Conn) -> BoxFuture<'_, ()> {
        Box::pin(opening::close(connection))
    }
}

// The driver's `Debug` of its options prints the password.
impl fmt::Debug for MysqlDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlDriver")
            .field("transport", &self.transport)
            .field("roots", &self.base.current().roots.to_string())
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
