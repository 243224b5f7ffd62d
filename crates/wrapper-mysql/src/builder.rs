//! Building a connector.

use std::{fmt, sync::Arc};

use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, PoolOpts, SslOpts};
use wrapper_adapter::{ConfigSource, Dialer, Setup, Trust, check_host, warn_of_ignored_password};
use wrapper_core::{
    ConnectRequest, Error, ErrorKind, Password, Registry, Requirements, Result, adapter::Transport,
};

use crate::{
    Connector,
    config_source::{FORM, KEEPALIVE_IDLE, read_map, read_url},
    driver::{MysqlDriver, without_questions},
    tls::{Plan, Tls, TlsFlags, rooted},
};

/// Builds a [`Connector`].
///
/// Settings made here are locked: a URL or map with another value is an error.
pub struct ConnectorBuilder {
    setup: Setup<Conn, Opts>,
    tls: Option<SslOpts>,
    identity: Option<ClientIdentity>,
}

impl ConnectorBuilder {
    pub(crate) fn new(registry: Registry<Conn>) -> Self {
        Self { setup: Setup::new(registry), tls: None, identity: None }
    }

    wrapper_adapter::builder_methods!(Conn);

    /// Sets the configuration from the driver's own type; replaces an earlier one.
    #[must_use]
    pub fn opts(mut self, opts: impl Into<Opts>) -> Self {
        self.setup.source = ConfigSource::Driver(opts.into());
        self
    }

    /// Shows the server a certificate of the client's own, where it asks for one, in place of
    /// `sslcert` and `sslkey`.
    ///
    /// The driver's type holds a PKCS#12 archive with the feature `native-tls`, and PEM with
    /// `rustls`. Its `Debug` prints the key: log it nowhere.
    #[must_use]
    pub fn client_identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Uses these TLS options of the driver, including their verification settings.
    ///
    /// # Security
    ///
    /// Tokens go to any server that these options accept. Roots, `sslrootcert`, client certificates
    /// and `sslmode` do not count then, and no file is reloaded. For a certificate of your own
    /// there is [`client_identity`](Self::client_identity).
    #[must_use]
    pub fn danger_tls(mut self, opts: SslOpts) -> Self {
        self.tls = Some(opts);
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
        let (opts, flags) = match source {
            ConfigSource::Driver(opts) => {
                let flags = TlsFlags::of(&opts);
                (opts, flags)
            }
            ConfigSource::Map(pairs) => read_map(pairs, &setup.registry, &mut given)?,
            ConfigSource::Text(url) => read_url(&url, &setup.registry, &mut given)?,
        };
        let requests = vec![request(&opts)?];
        let chain = setup.chain(&given, &requests, &FORM.example())?;
        check_needs(&opts, chain.needs)?;
        warn_of_pool(&opts);

        let mut tls = match self.tls {
            Some(tls) => Tls::danger(tls),
            None => Tls::set_up(&opts, &flags, (&setup, &chain, &requests[0]), self.identity)?,
        };
        if opts.socket().is_some() {
            // The driver does no TLS over a socket.
            tls.transport = Transport::Unverified;
        }
        let transport = tls.transport;
        let base = trust(base(&opts, transport, chain.needs)?, tls)?;
        let driver = MysqlDriver::new(base, transport, Dialer::new(Arc::clone(&setup.resolver), false));
        setup.finish(driver, chain, requests, false).map(Connector::new)
    }
}

fn request(opts: &Opts) -> Result<ConnectRequest> {
    let host = opts.ip_or_hostname().trim_matches(['[', ']']);
    if host.trim().is_empty() {
        return Err(configuration("missing host: name one, as in mysql://user@host/database"));
    }
    if opts.socket().is_none() {
        check_host(host)?;
    }
    if opts.tcp_port() == 0 {
        return Err(configuration("`port` must be a whole number from 1 to 65535, not `0`"));
    }
    let user = opts.user().unwrap_or_default();
    // The protocol ends both with a NUL.
    if user.contains(char::is_control) || opts.db_name().is_some_and(|name| name.contains(char::is_control)) {
        return Err(configuration("user or database contains a control character"));
    }
    let mut request = ConnectRequest::new(host, opts.tcp_port(), user);
    if let Some(addresses) = opts.resolved_ips() {
        request = request.with_addresses(addresses.clone());
    }
    if let Some(database) = opts.db_name() {
        request = request.with_database(database);
    }
    if let Some(password) = opts.pass() {
        // The driver sends it unless a plugin supplies another, and a server may repeat it.
        request = request.with_secret(Password::new(password));
    }
    Ok(request)
}

fn check_needs(opts: &Opts, needs: Requirements) -> Result<()> {
    if opts.socket().is_some_and(|socket| !socket.starts_with('/')) {
        return Err(configuration("`socket` must be the whole path of a unix socket, which begins with `/`"));
    }
    if needs.verified_tls && opts.socket().is_some() {
        return Err(configuration(
            "`socket` is a unix socket, which has no TLS, and so no login by a token or a managed password: \
             leave it out",
        ));
    }
    if needs.supplies_password && !opts.secure_auth() {
        return Err(configuration(
            "`secure_auth=false` allows an authentication method that reveals the password: leave it out",
        ));
    }
    Ok(())
}

/// Returns the options with TLS in them, rebuilt when the roots have changed.
fn trust(base: Opts, tls: Tls) -> Result<Trust<Opts>> {
    let base = without_questions(base);
    let with = |base: &Opts, ssl| Opts::from(OptsBuilder::from_opts(base.clone()).ssl_opts(ssl));
    match tls.plan {
        Plan::Given(ssl) => Ok(Trust::fixed(tls.roots, with(&base, Some(ssl)))),
        Plan::Off => Ok(Trust::fixed(tls.roots, with(&base, None))),
        Plan::Rooted(ssl) => Trust::new(tls.roots, move |roots| Ok(with(&base, Some(rooted(&ssl, roots)?)))),
    }
}

/// Returns the options for all connections, without TLS and without a password where a plugin gives
/// one.
fn base(opts: &Opts, transport: Transport, needs: Requirements) -> Result<Opts> {
    let cleartext = needs.cleartext_password || opts.enable_cleartext_plugin();
    if cleartext && transport < Transport::VerifiedTls {
        return Err(configuration(
            "`enable_cleartext_plugin` sends the password in cleartext, which requires verified TLS: add \
             sslmode=verify-full",
        ));
    }
    let mut builder = OptsBuilder::from_opts(opts.clone())
        .tcp_keepalive(opts.tcp_keepalive().or(Some(KEEPALIVE_IDLE)))
        .enable_cleartext_plugin(cleartext)
        // Else the driver moves to a local socket that the remote server names, where there is no
        // TLS.
        .prefer_socket(false);
    if needs.supplies_password {
        if opts.pass().is_some() {
            warn_of_ignored_password();
        }
        builder = builder.pass(None::<String>);
    }
    Ok(builder.into())
}

fn warn_of_pool(opts: &Opts) {
    if *opts.pool_opts() != PoolOpts::default() || opts.conn_ttl().is_some() {
        tracing::warn!("options of the driver's own pool have no effect, because that pool is not used");
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
