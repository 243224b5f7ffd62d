//! The TLS options of a connection.

use mysql_async::{ClientIdentity, Conn, Opts, SslOpts};
use wrapper_adapter::{Chain, ClientCertificate, Roots, Setup, TlsMode};
use wrapper_core::{ConnectRequest, Error, ErrorKind, Options, Result, Value, adapter::Transport};

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
#[path = "tls/native.rs"]
mod stack;
#[cfg(feature = "rustls")]
#[path = "tls/rustls_stack.rs"]
mod stack;

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
compile_error!("wrapper-mysql needs a TLS stack: enable the feature `native-tls` or `rustls`");
#[cfg(all(feature = "native-tls", feature = "rustls"))]
compile_error!(
    "wrapper-mysql takes one TLS stack, as the driver does: for `rustls` switch the default features off"
);

/// The driver's own parameters about TLS, which are read here so that TLS is set up in one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFlags {
    built_in_roots: Option<bool>,
    require_ssl: Option<bool>,
    verify_ca: Option<bool>,
    verify_identity: Option<bool>,
}

impl TlsFlags {
    pub(crate) const NAMES: &[&str] = &["built_in_roots", "require_ssl", "verify_ca", "verify_identity"];

    /// Returns what the driver's own type says.
    pub(crate) fn of(opts: &Opts) -> Self {
        let Some(ssl) = opts.ssl_opts() else { return Self::default() };
        let off = |is_off: bool| is_off.then_some(false);
        Self {
            built_in_roots: off(ssl.disable_built_in_roots()),
            require_ssl: Some(true),
            verify_ca: off(ssl.accept_invalid_certs()),
            verify_identity: off(ssl.skip_domain_validation()),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &Value) -> Result<()> {
        let parsed = value.single(name)?.parse().map_err(|_| {
            configuration(format!(
                "the value of `{name}` is not one that the driver takes: `true` or `false`"
            ))
        })?;
        let switch = match name {
            "built_in_roots" => &mut self.built_in_roots,
            "require_ssl" => &mut self.require_ssl,
            "verify_ca" => &mut self.verify_ca,
            _ => &mut self.verify_identity,
        };
        *switch = Some(parsed);
        Ok(())
    }

    /// Returns the first switch that takes away from verified TLS.
    fn weak(&self) -> Option<&'static str> {
        let named = [
            ("require_ssl=false", self.require_ssl),
            ("verify_ca=false", self.verify_ca),
            ("verify_identity=false", self.verify_identity),
        ];
        named.into_iter().find(|(_, switch)| *switch == Some(false)).map(|(name, _)| name)
    }
}

/// TLS as it is set up for all connections of a connector.
pub(crate) struct Tls {
    pub(crate) plan: Plan,
    pub(crate) roots: Roots,
    pub(crate) transport: Transport,
}

/// The TLS options for the driver.
pub(crate) enum Plan {
    /// Options of the program, unchanged.
    Given(SslOpts),
    /// No TLS.
    Off,
    /// These options, with the roots that count at the time.
    Rooted(SslOpts),
}

impl Tls {
    /// Takes what the program made, including its verification settings.
    pub(crate) fn danger(opts: SslOpts) -> Self {
        Self { plan: Plan::Given(opts), roots: Roots::system(), transport: Transport::VerifiedTls }
    }

    pub(crate) fn set_up(
        opts: &Opts,
        flags: &TlsFlags,
        (setup, chain, request): (&Setup<Conn, Opts>, &Chain<Conn>, &ConnectRequest),
        identity: Option<ClientIdentity>,
    ) -> Result<Self> {
        let (settings, needs) = (&chain.options, chain.needs);
        let mode = TlsMode::read(settings, needs)?;
        let own = opts.ssl_opts();
        let overridden = own.and_then(SslOpts::tls_hostname_override);
        if needs.verified_tls || mode == Some(TlsMode::Verify) {
            if let Some(weak) = flags.weak() {
                return Err(TlsMode::insufficient_tls(&format!("`{weak}`")));
            }
            if overridden.is_some() {
                return Err(configuration(
                    "the TLS hostname override of the driver's options hides which name is verified: give \
                     it as `tlsServerName`",
                ));
            }
        }
        let is_wanted = match mode {
            Some(TlsMode::Verify) => true,
            Some(TlsMode::Disable) if flags.require_ssl == Some(true) => {
                return Err(configuration("sslmode `disable` and `require_ssl=true` contradict each other"));
            }
            Some(TlsMode::Disable) => false,
            Some(_) => {
                return Err(configuration(
                    "sslmode `prefer` is nothing that the driver can do: use `verify-full`, or `disable`",
                ));
            }
            None => needs.verified_tls || flags.require_ssl == Some(true),
        };
        if !is_wanted {
            // Where `disable` is said, files of roots that lie about are as little looked at as by
            // libpq.
            let has_roots = settings.contains(Options::SSLROOTCERT.name()) || !setup.pem.is_empty();
            if mode.is_none() && has_roots {
                return Err(configuration(
                    "roots are given, but no TLS is asked for: add sslmode=verify-full",
                ));
            }
            return Ok(Self { plan: Plan::Off, roots: Roots::system(), transport: Transport::Unverified });
        }
        let roots = trusted(opts, flags, setup.roots(settings, request)?)?;
        let identity = match (identity, ClientCertificate::read(settings)?) {
            (Some(identity), _) => Some(identity),
            (None, Some(certificate)) => Some(stack::identity(&certificate)?),
            (None, None) => own.and_then(SslOpts::client_identity).cloned(),
        };
        let opts = SslOpts::default()
            .with_root_certs(own.map(|own| own.root_certs().to_vec()).unwrap_or_default())
            .with_danger_accept_invalid_certs(flags.verify_ca == Some(false))
            .with_danger_skip_domain_validation(flags.verify_identity == Some(false))
            .with_danger_tls_hostname_override(overridden.map(str::to_owned))
            .with_client_identity(identity);
        let is_verified = flags.weak().is_none() && overridden.is_none();
        let transport = if is_verified { Transport::VerifiedTls } else { Transport::Unverified };
        Ok(Self { plan: Plan::Rooted(opts), roots, transport })
    }
}

/// Adds roots, checked, to the driver's options.
pub(crate) fn rooted(opts: &SslOpts, roots: &Roots) -> Result<SslOpts> {
    let mut certificates = opts.root_certs().to_vec();
    if roots.uses_system() {
        certificates.extend(stack::platform_roots().into_iter().map(Into::into));
    }
    certificates.extend(stack::certificates(roots)?.into_iter().map(Into::into));
    let uses_built_in = roots.uses_system() && stack::HAS_PLATFORM_ROOTS;
    Ok(opts.clone().with_root_certs(certificates).with_disable_built_in_roots(!uses_built_in))
}

/// Returns the roots as the driver's switch has them; those in the driver's options stay with the
/// driver.
fn trusted(opts: &Opts, flags: &TlsFlags, mut roots: Roots) -> Result<Roots> {
    if let Some(built_in) = flags.built_in_roots {
        roots = roots.with_system(built_in);
    }
    let is_empty = opts.ssl_opts().is_none_or(|own| own.root_certs().is_empty());
    if !roots.uses_system() && roots.bundles().is_empty() && is_empty {
        return Err(configuration("nothing is trusted: `built_in_roots=false` needs roots in `sslrootcert`"));
    }
    Ok(roots)
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
