//! What a connection string says.

use std::net::IpAddr;

use host_pattern::{Endpoint, EndpointKind};
use tokio_postgres::{
    Config,
    config::{Host, SslNegotiation},
};
use wrapper_core::{Error, ErrorKind, Registry, Result, Roots, cut_key_value, cut_url};
use wrapper_iam::{IamFactory, TokenTarget};
use wrapper_pg::{Connector, PgConnection, TlsStack};

use super::report::{Report, StepName};

/// One host with all that a login there needs.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: Option<String>,
    /// The address to dial in place of asking DNS.
    pub(super) address: Option<IpAddr>,
    /// TLS begins without asking for it.
    pub(super) is_direct: bool,
    pub(super) roots: Roots,
    has_password: bool,
    parameters: Vec<(String, String)>,
}

/// Builds what the program itself would build of the string, with `plugins=iam` where it is left out.
pub(super) fn connector(url: &str) -> Result<Connector> {
    let builder = Connector::builder(registry()).connection_string(url).tls_stack(TlsStack::Rustls);
    match cut(url)?.1.iter().any(|(name, _)| name == "plugins") {
        true => builder.build(),
        false => builder.parameter("plugins", "iam").build(),
    }
}

fn registry() -> Registry<PgConnection> {
    Registry::new().with(IamFactory::default())
}

/// The driver's part of a string, and ours.
fn cut(url: &str) -> Result<(String, Vec<(String, String)>)> {
    let registry = registry();
    let is_ours = |name: &str| registry.declares(name);
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let cut = if is_url { cut_url(url, is_ours)? } else { cut_key_value(url, is_ours)? };
    Ok((cut.rest, cut.pairs))
}

impl Subject {
    pub(super) fn read(url: &str) -> Result<Self> {
        let (rest, parameters) = cut(url)?;
        let config: Config =
            rest.parse().map_err(|_| configuration("the connection string cannot be read"))?;
        let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
        if hosts.len() > 1 || addresses.len() > 1 {
            return Err(configuration("several hosts are named: examine them one at a time"));
        }
        let host = match (hosts.first(), addresses.first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            _ => return Err(configuration("no host to examine: a unix socket takes no token")),
        };
        // A password with a raw `@` ends up here in part, and this error shows none of it.
        Endpoint::parse(&host).map_err(|error| configuration("the host is no name").with_source(error))?;
        let given = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        if given("plugins").is_some_and(|plugins| !plugins.split(',').any(|code| code.trim() == "iam")) {
            return Err(configuration("`plugins` does not name iam: without it no token is sent"));
        }
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or_default().to_owned(),
            database: config.get_dbname().map(str::to_owned),
            address: addresses.first().copied(),
            is_direct: config.get_ssl_negotiation() == SslNegotiation::Direct,
            roots: given("sslrootcert").map_or(Ok(Roots::system()), Roots::read)?,
            has_password: config.get_password().is_some(),
            parameters,
        })
    }

    /// A parameter of ours, where the string has it.
    pub(super) fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The name that the token is signed for.
    pub(super) fn signed_host(&self) -> &str {
        self.parameter("iamHost").unwrap_or(&self.host)
    }

    /// The endpoint that the token is signed for, if it is one.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.signed_host()).ok()
    }

    /// The port that the token is signed for.
    pub(super) fn signed_port(&self) -> u16 {
        self.parameter("iamDefaultPort").and_then(|port| port.trim().parse().ok()).unwrap_or(self.port)
    }

    /// What the token is signed for.
    pub(super) fn target(&self) -> Result<TokenTarget> {
        match self.parameter("iamRegion") {
            Some(region) => {
                TokenTarget::with_region(self.signed_host(), self.signed_port(), &self.user, region)
            }
            None => TokenTarget::new(self.signed_host(), self.signed_port(), &self.user),
        }
    }

    /// The name that the server's certificate has to carry.
    pub(super) fn tls_name(&self) -> &str {
        self.parameter("tlsServerName").unwrap_or(self.signed_host())
    }

    /// Whether the host is itself such a name, and not what leads there: an address, a tunnel, a custom domain.
    pub(super) fn dials_endpoint(&self) -> bool {
        let kind = Endpoint::parse(&self.host).map(|endpoint| endpoint.kind());
        !matches!(kind, Ok(EndpointKind::Custom | EndpointKind::Ip) | Err(_))
    }

    pub(super) fn report(&self, report: &mut Report) {
        let user = self.user.escape_debug();
        let database = self.database.as_deref().unwrap_or(&self.user).escape_debug();
        let fact = format!("user `{user}`, database `{database}`, trusting {}", self.roots);
        let mut remarks = Vec::new();
        if self.parameter("plugins").is_none() {
            remarks.push("add plugins=iam, without which a program sends no token");
        }
        if self.has_password {
            remarks.push("leave out the password, which is ignored beside iam");
        }
        match remarks.is_empty() {
            true => report.ok(StepName::Parameters, fact),
            false => report.warning(StepName::Parameters, fact, remarks.join(", and ")),
        }
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
