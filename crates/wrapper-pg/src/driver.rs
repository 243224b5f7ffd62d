//! The driver's end of the chain.

use std::{net::IpAddr, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{Config, config::SslMode};
use wrapper_adapter::{Dialer, other_service};
use wrapper_core::{
    BoxFuture, ConnectRequest, Engine, Password, Result,
    adapter::{Driver, Phase, Rows, Transport},
};

use crate::{
    DriverConfig, PgConnection,
    error::{connect_error, may_be_other_service},
    session,
    tls::{Tls, Tracked, UnknownIssuer},
};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Opens PostgreSQL connections for a configuration without hosts.
#[derive(Debug)]
pub struct PgDriver {
    base: Config,
    /// The same for a user that a plugin chose: a configured password is not theirs, and the
    /// driver's builder takes none back.
    without_password: Config,
    tls: Tls,
    dialer: Dialer,
}

impl PgDriver {
    pub(crate) fn new(base: Config, without_password: Config, tls: Tls, dialer: Dialer) -> Self {
        Self { base, without_password, tls, dialer }
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Returns the transport of a password: with `sslmode=require` the driver sends nothing before
    /// the handshake, and our TLS verifies the server.
    fn transport(&self) -> Transport {
        match self.base.get_ssl_mode() {
            SslMode::Require => Transport::VerifiedTls,
            _ => Transport::Unverified,
        }
    }

    /// Returns the configuration for one connect, without a host.
    fn config(&self, request: &ConnectRequest) -> Result<Config> {
        let mut config = match request.is_configured_user() {
            true => self.base.clone(),
            false => self.without_password.clone(),
        };
        // On a copy: the driver's `Config` only ever adds hosts and ports.
        config.port(request.port()).user(request.user());
        if let Some(database) = request.database() {
            config.dbname(database);
        }
        if let Some(password) = request.password() {
            config.password(password.expose_for(self.transport())?);
        }
        Ok(config)
    }

    /// Returns the configuration for a program that connects by itself.
    pub(crate) async fn driver_config(&self, request: &ConnectRequest) -> Result<DriverConfig> {
        let mut config = self.config(request)?;
        let addresses = match request.host().starts_with('/') {
            true => Vec::new(),
            false => self.dialer.addresses_to_tell(request).await?,
        };
        if addresses.is_empty() {
            config.host(request.host());
        }
        // Pairs, as the driver reads them: it verifies the host and dials the `hostaddr`.
        for address in addresses {
            config.host(request.tls_name()).hostaddr(address);
        }
        let good_until = request.password().and_then(Password::good_until);
        Ok(DriverConfig::new(config, self.tls.clone(), good_until))
    }

    async fn connect_host(&self, request: &ConnectRequest) -> Result<PgConnection> {
        if request.host().starts_with('/') {
            request.progress().enter(Phase::Dial);
            return self.open(request, None).await;
        }
        self.dialer.dial(request, |address| self.open(request, Some(address.ip()))).await
    }

    /// Opens a connection to an address of the host, or to its unix socket.
    fn open<'a>(
        &'a self,
        request: &'a ConnectRequest,
        address: Option<IpAddr>,
    ) -> BoxFuture<'a, Result<PgConnection>> {
        Box::pin(async move {
            let mut config = self.config(request)?;
            match address {
                // The driver verifies the certificate against the host and dials the address.
                Some(address) => config.host(request.tls_name()).hostaddr(address),
                None => config.host(request.host()),
            };
            let unknown = UnknownIssuer::default();
            match config.connect(self.tracked(&config, request, &unknown)).await {
                Ok(connection) => Ok(connection),
                // Boxed: a future has room for its largest part in every connect, and this is rare.
                Err(error) => Box::pin(self.after_failure(&config, request, &unknown, error)).await,
            }
        })
    }

    /// Tries once more where that may help, else explains the error.
    async fn after_failure(
        &self,
        config: &Config,
        request: &ConnectRequest,
        unknown: &UnknownIssuer,
        mut error: tokio_postgres::Error,
    ) -> Result<PgConnection> {
        // Nothing was sent to a server whose issuer is unknown, so retrying is safe; its authority
        // may have been replaced, and the roots reloaded.
        if self.tls.may_know(unknown).await {
            request.progress().enter(Phase::Dial);
            // The retry has a note of its own: a note keeps the first roots that lacked the issuer.
            match config.connect(self.tracked(config, request, &UnknownIssuer::default())).await {
                Ok(connection) => return Ok(connection),
                Err(again) => error = again,
            }
        }
        let is_doubtful = may_be_other_service(&error);
        let error = connect_error(error, request, &self.tls.roots());
        // The probe costs one more connection: only after errors that another service may have
        // caused.
        match is_doubtful {
            true => Err(other_service(Engine::Postgres, request).await.unwrap_or(error)),
            false => Err(error),
        }
    }

    fn tracked(&self, config: &Config, request: &ConnectRequest, unknown: &UnknownIssuer) -> Tracked {
        self.tls.tracked(request, config.get_ssl_mode(), unknown)
    }
}

impl Driver for PgDriver {
    type Connection = PgConnection;

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn connect(&self, request: ConnectRequest) -> BoxFuture<'_, Result<PgConnection>> {
        Box::pin(async move { self.connect_host(&request).await })
    }

    fn query<'a>(&'a self, connection: &'a mut PgConnection, sql: &'a str) -> BoxFuture<'a, Result<Rows>> {
        Box::pin(session::query(connection, sql))
    }

    fn parameter(&self, (_, connection): &PgConnection, name: &str) -> Option<String> {
        connection.parameter(name).map(str::to_owned)
    }

    fn close(&self, (client, connection): PgConnection) -> BoxFuture<'_, ()> {
        // Without a client the connection says goodbye: servers count sessions that break off
        // (`sessions_abandoned` of `pg_stat_database`).
        drop(client);
        Box::pin(async { drop(timeout(GOODBYE, connection).await) })
    }
}
