//! The driver's end of the chain.

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
    tls::{Tls, UnknownIssuer},
};

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
        let mut config = self.config(request)?;
        if request.host().starts_with('/') {
            config.host(request.host());
            request.progress().enter(Phase::Dial);
            return self.open(config, request).await;
        }
        // The driver verifies the certificate against the host and dials the address.
        config.host(request.tls_name());
        let open = |address: std::net::SocketAddr| -> BoxFuture<'_, Result<PgConnection>> {
            let mut config = config.clone();
            config.hostaddr(address.ip());
            Box::pin(self.open(config, request))
        };
        self.dialer.dial(request, open).await
    }

    async fn open(&self, config: Config, request: &ConnectRequest) -> Result<PgConnection> {
        let unknown = UnknownIssuer::default();
        // The retry has a note of its own: a note keeps the first roots that lacked the issuer.
        let track = |unknown| self.tls.tracked(request, config.get_ssl_mode(), unknown);
        let mut connected = config.connect(track(&unknown)).await;
        // Nothing was sent to a server whose issuer is unknown, so retrying is safe; its authority
        // may have been replaced, and the roots reloaded.
        if connected.is_err() && self.tls.may_know(&unknown).await {
            request.progress().enter(Phase::Dial);
            connected = config.connect(track(&UnknownIssuer::default())).await;
        }
        let error = match connected {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let is_doubtful = may_be_other_service(&error);
        let error = connect_error(error, request, &self.tls.roots());
        // The probe costs one more connection: only after errors that another service may have
        // caused.
        match is_doubtful {
            true => Err(other_service(Engine::Postgres, request).await.unwrap_or(error)),
            false => Err(error),
        }
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
}
