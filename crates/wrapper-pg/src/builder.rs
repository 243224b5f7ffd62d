//! Building a connector.

use std::{fmt, sync::Arc};

use tokio_postgres::{
    Config,
    config::{ChannelBinding, LoadBalanceHosts, SslMode, SslNegotiation},
};
use wrapper_adapter::{ClientCertificate, ConfigSource, Dialer, Setup, TlsMode, warn_of_ignored_password};
use wrapper_core::{ConnectRequest, Error, ErrorKind, Options, Password, Registry, Requirements, Result};
use zeroize::Zeroizing;

use crate::{
    Connector, PgConnection, Tls, TlsStack,
    config::{Target, base, targets},
    config_source::{FORM, read_map, read_string},
    driver::PgDriver,
    keepalive,
    tls::TlsPlan,
};

/// Builds a [`Connector`].
///
/// Settings made here are locked: a connection string or map with another value is an error.
pub struct ConnectorBuilder {
    setup: Setup<PgConnection, Box<Config>>,
    tls: Option<Tls>,
    stack: TlsStack,
    certificate: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    #[cfg(feature = "rustls")]
    provider: Option<Arc<rustls::crypto::CryptoProvider>>,
}

impl ConnectorBuilder {
    pub(crate) fn new(registry: Registry<PgConnection>) -> Self {
        Self {
            setup: Setup::new(registry),
            tls: None,
            stack: TlsStack::default(),
            certificate: None,
            #[cfg(feature = "rustls")]
            provider: None,
        }
    }

    wrapper_adapter::builder_methods!(PgConnection);

    /// Sets the configuration from the driver's own type; replaces an earlier one.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.setup.source = ConfigSource::Driver(Box::new(config));
        self
    }

    /// Chooses the TLS stack, where the features bring several.
    #[must_use]
    pub fn tls_stack(mut self, stack: TlsStack) -> Self {
        self.stack = stack;
        self
    }

    /// Takes rustls with this cryptography, in place of aws-lc-rs: a FIPS build, or one that a
    /// company prescribes.
    ///
    /// Roots, verification and everything else stay as they are.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn rustls_provider(mut self, provider: Arc<rustls::crypto::CryptoProvider>) -> Self {
        self.stack = TlsStack::Rustls;
        self.provider = Some(provider);
        self
    }

    /// Shows the server a certificate of the client's own, where it asks for one: the chain and its
    /// private key, PEM.
    ///
    /// The same as `sslcert` and `sslkey`, which name files. The platform's TLS library wants the
    /// key in PKCS#8 (`BEGIN PRIVATE KEY`).
    #[must_use]
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some((chain.into(), Zeroizing::new(key.into())));
        self
    }

    /// Uses a TLS connector made elsewhere, including its verification settings.
    ///
    /// # Security
    ///
    /// Tokens go to any server that this connector accepts. Roots, `sslrootcert` and client
    /// certificates do not count then, and no file is reloaded. For a certificate or the
    /// cryptography of your own there are [`client_certificate`](Self::client_certificate) and
    /// `rustls_provider`.
    #[must_use]
    pub fn danger_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Builds the connector and validates the configuration, before the first connect.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter and the remedy.
    pub fn build(self) -> Result<Connector> {
        let mut setup = self.setup;
        let (source, mut given) = setup.take_source()?;
        // Asked of the text: the parsed configuration does not tell a given value from a default.
        let said = keepalive::named_in(&source);
        let mut config = match source {
            ConfigSource::Driver(config) => *config,
            ConfigSource::Map(pairs) => read_map(pairs, &setup.registry, &mut given)?,
            ConfigSource::Text(text) => read_string(&text, &setup.registry, &mut given)?,
        };
        keepalive::set_up(&mut config, &said);
        let targets = targets(&config)?;
        let requests: Vec<_> = targets.iter().map(|target| request(target, &config)).collect();
        let chain = setup.chain(&given, &requests, &FORM.example())?;
        config.ssl_mode(ssl_mode(&config, &chain.options, chain.needs)?);
        check_needs(&config, &targets, chain.needs)?;

        let tls = match self.tls {
            Some(tls) => tls,
            None if config.get_ssl_mode() == SslMode::Disable => Tls::off(),
            None => {
                let certificate = match self.certificate {
                    Some((chain, key)) => Some(ClientCertificate::new(chain, key.to_vec())?),
                    None => ClientCertificate::read(&chain.options)?,
                };
                let plan = TlsPlan {
                    stack: self.stack,
                    direct: config.get_ssl_negotiation() == SslNegotiation::Direct,
                    certificate,
                    #[cfg(feature = "rustls")]
                    provider: self.provider,
                };
                Tls::new(plan, setup.roots(&chain.options, &requests[0])?)?
            }
        };
        // Both are made now: an option that cannot be copied must fail the build, not a connect.
        let without_password = base(&config, false)?;
        let base = base(&config, keeps_password(&config, chain.needs))?;
        let shuffles = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let driver =
            PgDriver::new(base, without_password, tls, Dialer::new(Arc::clone(&setup.resolver), shuffles));
        setup.finish(driver, chain, requests, shuffles).map(Connector::new)
    }
}

fn ssl_mode(config: &Config, settings: &Options, needs: Requirements) -> Result<SslMode> {
    match TlsMode::read(settings, needs)? {
        Some(TlsMode::Verify) => Ok(SslMode::Require),
        Some(TlsMode::Disable) => Ok(SslMode::Disable),
        Some(_) => Ok(SslMode::Prefer),
        None if needs.verified_tls && config.get_ssl_mode() == SslMode::Disable => {
            Err(TlsMode::insufficient_tls("sslmode `disable`"))
        }
        None if needs.verified_tls => Ok(SslMode::Require),
        None => Ok(config.get_ssl_mode()),
    }
}

fn check_needs(config: &Config, targets: &[Target], needs: Requirements) -> Result<()> {
    // Channel binding belongs to SCRAM:
    // https://www.postgresql.org/docs/current/sasl-authentication.html
    if needs.cleartext_password && config.get_channel_binding() == ChannelBinding::Require {
        return Err(configuration(
            "channel_binding `require` cannot work with a token, which is sent as a cleartext password: \
             leave it out",
        ));
    }
    match targets.iter().find(|target| target.is_unix()) {
        Some(_) if needs.verified_tls => Err(configuration(
            "`host` is the folder of a unix socket, which has no TLS, and so no login by a token or a \
             managed password",
        )),
        _ => Ok(()),
    }
}

fn keeps_password(config: &Config, needs: Requirements) -> bool {
    if needs.supplies_password && config.get_password().is_some() {
        warn_of_ignored_password();
    }
    !needs.supplies_password
}

fn request(target: &Target, config: &Config) -> ConnectRequest {
    let mut request = ConnectRequest::new(&target.host, target.port, config.get_user().unwrap_or_default());
    if let Some(address) = target.address {
        request = request.with_addresses([address]);
    }
    if let Some(password) = config.get_password() {
        // The driver sends it unless a plugin supplies another, and a server may repeat it.
        request = request.with_secret(Password::new(String::from_utf8_lossy(password)));
    }
    match config.get_dbname() {
        Some(database) => request.with_database(database),
        None => request,
    }
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl fmt::Debug for ConnectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorBuilder").field("setup", &self.setup).finish_non_exhaustive()
    }
}
