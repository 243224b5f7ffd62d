//! Building a pool.

use std::{
    convert::Infallible,
    fmt,
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use sqlx::pool::PoolOptions;
#[cfg(feature = "secrets")]
use wrapper_adapter::split_url;
use wrapper_adapter::{Chain, ClientCertificate, ConfigSource, Setup, TlsMode, in_runtime, server_name};
#[cfg(feature = "secrets")]
use wrapper_core::Value;
use wrapper_core::{
    ConnectRequest, Error, ErrorKind, Event, Options, Plugin, Registry, Requirements, Result, text::bracketed,
};
use wrapper_iam::{IamFactory, IamPlugin, IamSettings, IamTokenProvider, TokenRequest, token_provider};
#[cfg(feature = "secrets")]
use wrapper_secrets::{SecretProvider, SecretsFactory, SecretsPlugin};
use wrapper_topology::{FailoverFactory, FailoverPlugin, Topology};

use crate::{
    Engine, FreshPool,
    checks::{DEADLINE, check_within, led},
    engine::DriverOptions,
    lead::{Lead, SqlxDriver},
    password_source::PasswordSource,
    refresher::Refresher,
    roots,
    target::{Source, form, read_map, read_url},
};

/// Builds a [`FreshPool`].
///
/// The plugin `iam` is on unless the configuration names `awsSecretsManager` (feature `secrets`).
/// Settings made here are locked: a URL or map with another value is an error.
pub struct FreshPoolBuilder<D: Engine> {
    setup: Setup<(), Infallible>,
    tokens: Option<IamTokenProvider>,
    #[cfg(feature = "secrets")]
    secrets: Option<SecretProvider>,
    topology: Option<Topology>,
    pool: Option<PoolOptions<D>>,
    adjust: Adjust<D>,
}

type Adjust<D> = Box<dyn FnOnce(DriverOptions<D>) -> DriverOptions<D> + Send>;

impl<D: Engine> FreshPoolBuilder<D> {
    pub(crate) fn new() -> Self {
        Self {
            setup: Setup::new(Registry::new()),
            tokens: None,
            #[cfg(feature = "secrets")]
            secrets: None,
            topology: None,
            pool: None,
            adjust: Box::new(|options| options),
        }
    }

    wrapper_adapter::source_methods!();

    /// Takes the tokens from this provider in place of the AWS default chain; pools and connectors
    /// may share it.
    #[must_use]
    pub fn tokens(mut self, tokens: IamTokenProvider) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Connects the pool to the writer of its cluster, by the plugin `failover2`: once another
    /// instance reports that it is the writer, new connections are opened there, regardless of DNS.
    ///
    /// The plugin finds the writer over connections of its own. Connections that were opened before
    /// the writer changed are not handed out any more; the checks for that replace `after_connect`
    /// and `before_acquire` of your own pool options. Report errors by [`FreshPool::report`].
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = Some(topology);
        self
    }

    /// Takes user and password from this secret; pools and connectors may share it.
    #[cfg(feature = "secrets")]
    #[must_use]
    pub fn secret(mut self, secrets: SecretProvider) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Calls the callback for loaded credentials and secrets, but not for the end of connects, for
    /// which sqlx has no hook.
    ///
    /// It runs synchronously where the event happens, so it should be short; a panic in it affects
    /// nothing else. Several callbacks are all called.
    #[must_use]
    pub fn on_event(mut self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.setup.events = self.setup.events.with(callback);
        self
    }

    /// Sets the size, the timeouts and the callbacks of the pool.
    ///
    /// By default, a connection is checked for five seconds at most before it is handed out;
    /// [`check_within`] does the same for options of your own.
    #[must_use]
    pub fn pool_options(mut self, options: PoolOptions<D>) -> Self {
        self.pool = Some(options);
        self
    }

    /// Adjusts the driver's connect options beyond a URL, such as the logging of statements.
    ///
    /// Host, port, user, database, password and TLS are set afterwards, overriding earlier settings
    /// here.
    #[must_use]
    pub fn connect_options(
        mut self,
        adjust: impl FnOnce(DriverOptions<D>) -> DriverOptions<D> + Send + 'static,
    ) -> Self {
        self.adjust = Box::new(adjust);
        self
    }

    /// Builds the pool with its first token, in the current Tokio runtime; it opens connections
    /// only if the pool's options ask for some.
    ///
    /// # Errors
    ///
    /// A configuration error that names the parameter and the remedy; a credentials error if the
    /// first token cannot be signed.
    pub async fn build(self) -> Result<FreshPool<D>> {
        in_runtime(self.build_pool()).await
    }

    async fn build_pool(self) -> Result<FreshPool<D>> {
        touch_drivers();
        let mut setup = self.setup;
        let iam = match &self.tokens {
            Some(tokens) => IamFactory::new(tokens.clone()),
            None => IamFactory::default(),
        };
        let failover = self.topology.clone().map(FailoverFactory::new);
        let registry = Registry::new().with(iam.clone());
        let registry: Registry<()> = match &failover {
            Some(failover) => registry.with(failover.clone()),
            None => registry,
        };
        #[cfg(feature = "secrets")]
        let secrets = match (&self.secrets, &self.tokens) {
            (Some(secrets), _) => SecretsFactory::new(secrets.clone()),
            (None, Some(tokens)) => SecretsFactory::with_credentials_of(tokens.clone()),
            (None, None) => SecretsFactory::default(),
        };
        #[cfg(feature = "secrets")]
        let registry = registry.with(secrets.clone());
        setup.registry = registry;
        #[cfg(feature = "secrets")]
        let is_named = names_secrets(&setup);
        #[cfg(feature = "secrets")]
        let has_secret = self.secrets.is_some() || is_named;
        #[cfg(not(feature = "secrets"))]
        let has_secret = false;
        let (source, mut given) = setup.take_source()?;
        let with_failover = |code: &str| match self.topology {
            Some(_) => format!("{},{code}", FailoverPlugin::CODE),
            None => code.to_owned(),
        };
        // `set` makes it an error for the configuration to name other plugins than these.
        if !has_secret {
            given.set("plugins", with_failover(IamPlugin::CODE))?;
        }
        #[cfg(feature = "secrets")]
        if has_secret && !is_named {
            given.set("plugins", with_failover(SecretsPlugin::CODE))?;
        }
        let Source { server, query } = match source {
            ConfigSource::Map(pairs) => read_map::<D>(pairs, &setup.registry, &mut given, !has_secret)?,
            ConfigSource::Text(url) => read_url::<D>(&url, &setup.registry, &mut given, !has_secret)?,
            ConfigSource::Driver(never) => match never {},
        };
        let Chain { plugins, options, .. } =
            setup.chain(&given, std::slice::from_ref(&server), &form::<D>().example())?;
        let settings = IamSettings::from_options(&options, 1)?;
        // Before the driver is set up: a host or region that no token fits fails first.
        let target = if has_secret { None } else { Some(settings.target(&server)?) };
        check(&options, &server, target.as_ref(), &plugins, self.topology.is_some())?;
        // The source of passwords notifies the listeners; the plugins would do so a second time.
        drop(plugins);
        let roots = setup.roots(&options, &server)?;
        let certificate = ClientCertificate::read(&options)?;
        let driver_options = (self.adjust)(driver_options::<D>(&query)?);
        if has_secret && server.database().is_none() && D::SCHEMES[0] == "postgres" {
            return Err(configuration(
                "missing database: name one, as in postgres://host/database; its default is the user's name, \
                 which is in the secret",
            ));
        }
        let template = D::template(driver_options, &server, roots::pem(&roots)?, certificate.as_ref())?;

        let passwords = match target {
            Some(target) => {
                let tokens = token_provider(&options, self.tokens.as_ref())?;
                PasswordSource::tokens(tokens, settings, target, &setup.events)
            }
            #[cfg(feature = "secrets")]
            None => PasswordSource::secret(secrets.provider(&options)?, &server, &setup.events),
            #[cfg(not(feature = "secrets"))]
            None => return Err(configuration("there is no source of passwords")),
        };
        let lead = match (self.topology.clone(), failover) {
            (Some(topology), Some(failover)) => {
                let registry = Registry::new().with(iam).with(failover);
                #[cfg(feature = "secrets")]
                let registry = registry.with(secrets);
                let (chain, _) =
                    registry.build_with_events(&given, std::slice::from_ref(&server), &setup.events)?;
                // The template has no password: the chain supplies one for each connection.
                let driver = SqlxDriver::new(template.clone(), has_secret, roots.clone());
                Some(Arc::new(Lead::new(driver, chain, topology, server.clone())))
            }
            _ => None,
        };
        // The first token is awaited: a pool that can never log in should fail here and not at its
        // first use.
        let login = passwords.login(None).await?;
        let options = match (self.pool, &lead) {
            (options, Some(lead)) => led(options.unwrap_or_default(), lead, DEADLINE),
            (Some(options), None) => options,
            (None, None) => check_within(PoolOptions::new(), DEADLINE),
        };
        let pool = options.connect_lazy_with(login.set::<D>(template.clone()));
        Ok(FreshPool::new(Refresher::start(pool, template, passwords, server, roots, login, lead)))
    }
}

/// Returns whether a configuration names the plugin of secrets, by either of its codes.
#[cfg(feature = "secrets")]
fn names_secrets(setup: &Setup<(), Infallible>) -> bool {
    let is_meant = |codes: &str| {
        codes.split(',').any(|code| [SecretsPlugin::CODE, "secretsManager"].contains(&code.trim()))
    };
    let in_pairs = |pairs: &[(String, Value)]| {
        let plugins = pairs.iter().filter(|(name, _)| name == "plugins");
        plugins.filter_map(|(name, value)| value.several(name).ok()).any(|codes| is_meant(&codes))
    };
    in_pairs(&setup.parameters)
        || match &setup.source {
            ConfigSource::Map(pairs) => in_pairs(pairs),
            ConfigSource::Text(url) => split_url(url, |name| name == "plugins")
                .is_ok_and(|split| split.pairs.iter().any(|(_, codes)| is_meant(codes))),
            ConfigSource::Driver(never) => match *never {},
        }
}

/// Panics, as `in_runtime` expects of Tokio, if the runtime lacks a timer or an I/O driver: the
/// pool would panic in tasks of its own.
fn touch_drivers() {
    drop(tokio::time::sleep(Duration::ZERO));
    if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        && socket.set_nonblocking(true).is_ok()
    {
        drop(tokio::net::UdpSocket::from_std(socket));
    }
}

fn check(
    options: &Options,
    server: &ConnectRequest,
    target: Option<&TokenRequest>,
    plugins: &[Arc<dyn Plugin<()>>],
    is_led: bool,
) -> Result<()> {
    TlsMode::read(options, Requirements::of(plugins))?;
    let unused = [Options::CLUSTER_INSTANCE_HOST_PATTERN.name(), Options::WRAPPER_CONNECT_TIMEOUT.name()];
    for name in unused {
        // The topology needs the pattern to name the cluster's instances.
        let is_used = is_led && name == Options::CLUSTER_INSTANCE_HOST_PATTERN.name();
        if options.contains(name) && !is_used {
            return Err(configuration(format!(
                "`{name}` has no effect on a pool of sqlx, which bounds a connect by `acquire_timeout`: \
                 leave it out"
            )));
        }
    }
    if options.contains("secretRotationRetryTimeoutMs") {
        return Err(configuration(
            "`secretRotationRetryTimeoutMs` has no effect on a pool of sqlx, which does not report refused \
             logins: set `secretExpirationSec=60` in its place",
        ));
    }
    let mut request = server.clone();
    let server_name = server_name(options)?;
    let verified = match &server_name {
        Some(name) => name.as_str(),
        None => target.map_or(server.host(), TokenRequest::host),
    };
    if let Some(name) = server_name.clone() {
        request = request.with_server_name(name);
    }
    plugins.iter().try_for_each(|plugin| plugin.check(&request))?;
    // As DNS compares names: in any case, and with or without the root's dot.
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    if bare(verified) != bare(server.host()) {
        return Err(configuration(format!(
            "`{}` is dialled and the certificate must carry `{verified}`, but sqlx verifies the name that \
             it dials: use `{verified}` as the host, or use wrapper-pg or wrapper-mysql, which keep the \
             two apart",
            bracketed(server.host())
        )));
    }
    Ok(())
}

/// Returns the driver's own reading of its options. The user and the password keep it from looking
/// for a password file.
fn driver_options<D: Engine>(query: &str) -> Result<DriverOptions<D>> {
    format!("{}://x:x@x/?{}{query}", D::SCHEMES[0], D::RESET).parse().map_err(|_: sqlx::Error| {
        // The driver's error may show the value.
        configuration("a driver option in the configuration has an invalid value")
    })
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl<D: Engine> fmt::Debug for FreshPoolBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshPoolBuilder").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(all(feature = "mysql", feature = "postgres"))]
mod tests;
