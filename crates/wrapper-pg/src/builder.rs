//! Building a connector.

use std::{fmt, sync::Arc};

use tokio_postgres::{
    Config,
    config::{ChannelBinding, LoadBalanceHosts, SslMode, SslNegotiation},
};
use wrapper_adapter::{
    ClientCertificate, Dialer, HostList, Resolver, SystemResolver, TlsMode, given_in_code, read_roots,
};
use wrapper_core::{
    ConnectRequest, Error, ErrorKind, Event, Events, Options, Password, Plugin, Registry, Requirements,
    Result, Value, adapter::Wrapper,
};
use zeroize::Zeroizing;

use crate::{
    Connector, Tls, TlsStack,
    config::{Target, base, targets},
    config_source::{read_map, read_string},
    driver::{PgConnection, PgDriver},
    keepalive,
    tls::TlsPlan,
};

/// Builds a [`Connector`].
///
/// What is set here is locked: a connection string or map that says otherwise is an error.
pub struct ConnectorBuilder {
    registry: Registry<PgConnection>,
    source: Source,
    parameters: Vec<(String, Value)>,
    plugins: Vec<Arc<dyn Plugin<PgConnection>>>,
    resolver: Arc<dyn Resolver>,
    events: Events,
    pem: Vec<String>,
    tls: Option<Tls>,
    stack: TlsStack,
    certificate: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    #[cfg(feature = "rustls")]
    provider: Option<Arc<rustls::crypto::CryptoProvider>>,
}

enum Source {
    Config(Box<Config>),
    Map(Vec<(String, Value)>),
    Text(String),
}

impl Source {
    /// Returns the options about keepalives that it names.
    fn keepalives(&self) -> Vec<String> {
        match self {
            Source::Config(_) => Vec::new(),
            Source::Map(pairs) => pairs.iter().map(|(name, _)| name.clone()).collect(),
            Source::Text(text) => keepalive::named_in(text),
        }
    }
}

impl ConnectorBuilder {
    pub(crate) fn new(registry: Registry<PgConnection>) -> Self {
        Self {
            registry,
            source: Source::Text(String::new()),
            parameters: Vec::new(),
            plugins: Vec::new(),
            resolver: Arc::new(SystemResolver),
            events: Events::none(),
            pem: Vec::new(),
            tls: None,
            stack: TlsStack::default(),
            certificate: None,
            #[cfg(feature = "rustls")]
            provider: None,
        }
    }

    /// Takes the configuration from a URL (`postgres://…`) or a `key=value` string, in place of one
    /// given before.
    ///
    /// The string is trusted input: whoever writes it decides where the program connects to.
    #[must_use]
    pub fn connection_string(mut self, text: impl Into<String>) -> Self {
        self.source = Source::Text(text.into());
        self
    }

    /// Takes the configuration from the driver's own type, in place of one given before.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.source = Source::Config(Box::new(config));
        self
    }

    /// Takes the configuration from a map, such as one read by serde, in place of one given before.
    ///
    /// Its keys are `host`, `port`, `user`, `database`, `password`, the wrapper's parameters and
    /// the driver's.
    #[must_use]
    pub fn map<K, V>(mut self, map: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<Value>,
    {
        self.source = Source::Map(map.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// Sets one of the wrapper's parameters in code; the driver's own stand in the string or map.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Adds a plugin that has no code in the registry; those added stand outside of those named in
    /// `plugins`, the first outermost.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin<PgConnection> + 'static) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Resolves host names in another way than by asking the operating system.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Tells the callback what happens: how each connect ends, and more as the plugins know it.
    ///
    /// It runs where the event happens, so it should be short; one that panics disturbs nothing.
    /// Several callbacks are all told.
    #[must_use]
    pub fn on_event(mut self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = self.events.with(callback);
        self
    }

    /// Trusts the certificates of PEM text, beside what `sslrootcert` says.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.pem.push(pem.into());
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

    /// Uses a TLS connector made elsewhere, with whatever it verifies or does not.
    ///
    /// # Security
    ///
    /// Tokens go to any server that this connector accepts. Roots, `sslrootcert` and client
    /// certificates do not count then, and no file is read anew. For a certificate or the
    /// cryptography of your own there are [`client_certificate`](Self::client_certificate) and
    /// `rustls_provider`.
    #[must_use]
    pub fn danger_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Builds the connector, and finds what is wrong with the configuration before the first
    /// connect.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter and the remedy.
    pub fn build(self) -> Result<Connector> {
        let mut given = given_in_code(&self.registry, self.parameters)?;
        let said = self.source.keepalives();
        let mut config = match self.source {
            Source::Config(config) => *config,
            Source::Map(pairs) => read_map(pairs, &self.registry, &mut given)?,
            Source::Text(text) => read_string(&text, &self.registry, &mut given)?,
        };
        keepalive::set_up(&mut config, &said);
        let targets = targets(&config)?;
        let requests: Vec<_> = targets.iter().map(|target| request(target, &config)).collect();
        let (named, settings) = self.registry.build_with_events(&given, &requests, &self.events)?;
        let chain: Vec<_> = self.plugins.into_iter().chain(named).collect();
        let needs = Requirements::of(&chain);
        check_user(&config, needs)?;
        config.ssl_mode(ssl_mode(&config, &settings, needs)?);
        check_needs(&config, &targets, needs)?;

        let tls = match self.tls {
            Some(tls) => tls,
            None if config.get_ssl_mode() == SslMode::Disable => Tls::off(),
            None => {
                let certificate = match self.certificate {
                    Some((chain, key)) => Some(ClientCertificate::new(chain, key.to_vec())?),
                    None => ClientCertificate::read(&settings)?,
                };
                let plan = TlsPlan {
                    stack: self.stack,
                    direct: config.get_ssl_negotiation() == SslNegotiation::Direct,
                    certificate,
                    #[cfg(feature = "rustls")]
                    provider: self.provider,
                };
                let host = requests.first().map_or("", ConnectRequest::host);
                Tls::new(plan, read_roots(&settings, &self.pem, host)?)?
            }
        };
        let without_password = base(&config, false)?;
        let base = base(&config, keeps_password(&config, needs))?;
        let shuffles = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let driver = PgDriver::new(base, without_password, tls, Dialer::new(self.resolver, shuffles));
        let wrapper = Wrapper::new(driver, chain).with_events(self.events).explained_by(self.registry);
        let hosts = HostList::new(wrapper, requests, shuffles, &settings)?;
        Ok(Connector::new(hosts))
    }
}

fn check_user(config: &Config, needs: Requirements) -> Result<()> {
    match config.get_user() {
        Some(user) if !user.is_empty() => Ok(()),
        _ if needs.supplies_user => Ok(()),
        _ => Err(configuration("no user: name the database user, as in postgres://user@host/database")),
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
    if needs.cleartext_password && config.get_channel_binding() == ChannelBinding::Require {
        return Err(configuration(
            "channel_binding `require` cannot work with a token, for which the server asks as a cleartext \
             password: leave it out",
        ));
    }
    match targets.iter().find(|target| target.is_unix()) {
        Some(_) if needs.verified_tls => Err(configuration(
            "`host` is the folder of a unix socket, over which there is no TLS, and so no login by a token \
             or a managed password",
        )),
        _ => Ok(()),
    }
}

fn keeps_password(config: &Config, needs: Requirements) -> bool {
    if needs.supplies_password && config.get_password().is_some() {
        tracing::warn!("the configured password is ignored: a plugin gives another in its place");
    }
    !needs.supplies_password
}

fn request(target: &Target, config: &Config) -> ConnectRequest {
    let mut request = ConnectRequest::new(&target.host, target.port, config.get_user().unwrap_or_default());
    if let Some(address) = target.address {
        request = request.with_addresses([address]);
    }
    if let Some(password) = config.get_password() {
        // The driver sends it unless a plugin gives another, and a server may repeat it.
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
        f.debug_struct("ConnectorBuilder").field("registry", &self.registry).finish_non_exhaustive()
    }
}
