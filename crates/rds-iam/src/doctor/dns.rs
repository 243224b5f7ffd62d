//! DNS queries that the system's resolver does not offer: aliases of a name, and a chosen server.

use std::{fmt, io, net::IpAddr, net::SocketAddr, time::Duration};

use hickory_resolver::{
    Resolver as Client, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
};
use host_pattern::{Endpoint, EndpointKind};
use tokio::time::timeout;
use wrapper_adapter::Resolver;
use wrapper_core::BoxFuture;

/// How long one query may take, all servers and attempts together.
const LIMIT: Duration = Duration::from_secs(2);

/// The longest chain that is followed: resolvers give up after 8 to 16 names.
const MOST: usize = 16;

/// The server of `--dns-server`, asked instead of the system's.
#[derive(Clone)]
pub(super) struct DnsServer {
    address: SocketAddr,
    client: TokioResolver,
}

impl DnsServer {
    /// Creates a client that asks only this server, by UDP and TCP.
    pub(super) fn new(address: SocketAddr) -> Result<Self, NetError> {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let builder = Client::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self { address, client: builder.with_options(limited(ResolverOpts::default())).build()? })
    }
}

impl Resolver for DnsServer {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let name = absolute(host).map_err(io::Error::other)?;
            match timeout(LIMIT, self.client.lookup_ip(name)).await {
                Ok(Ok(addresses)) => Ok(addresses.iter().collect()),
                Ok(Err(error)) => {
                    Err(io::Error::other(format!("{} answered: {}", self.address, described(&error))))
                }
                Err(_) => Err(io::Error::other(format!("no answer from {} within {LIMIT:?}", self.address))),
            }
        })
    }
}

impl fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DnsServer").field(&self.address).finish()
    }
}

/// A name and those that its CNAME records lead to, one after the other.
#[derive(Debug)]
pub(crate) struct Aliases {
    names: Vec<String>,
    pub(super) end: ChainEnd,
}

/// Why a chain ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChainEnd {
    /// The last name is no alias.
    Canonical,
    /// The last name appears in the chain twice.
    Circle,
    /// The last name does not exist.
    Missing,
    TooLong,
    /// The query for the last name failed, for this reason.
    Unknown(String),
}

impl Aliases {
    /// Follows the CNAME records of a name, by the system's servers unless one is given.
    pub(super) async fn follow(host: &str, server: Option<&DnsServer>) -> Self {
        let mut aliases = Self { names: vec![canonical(host)], end: ChainEnd::Canonical };
        let client = match server {
            Some(server) => Ok(server.client.clone()),
            None => system(),
        };
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                aliases.end = ChainEnd::Unknown(error.to_string());
                return aliases;
            }
        };
        // The names that were found before the limit are kept: `walk` adds each as it comes.
        if timeout(LIMIT, aliases.walk(&client)).await.is_err() {
            let whom = server.map(|server| format!(" from {}", server.address)).unwrap_or_default();
            aliases.end = ChainEnd::Unknown(format!("no answer{whom} within {LIMIT:?}"));
        }
        aliases
    }

    async fn walk(&mut self, client: &TokioResolver) {
        self.end = loop {
            match target(client, &self.names[self.names.len() - 1]).await {
                Ok(None) => break ChainEnd::Canonical,
                Ok(Some(name)) => {
                    // Added even if it closes a circle, so that the report shows where.
                    let is_known = self.names.contains(&name);
                    self.names.push(name);
                    if is_known {
                        break ChainEnd::Circle;
                    }
                }
                Err(end) => break end,
            }
            if self.names.len() > MOST {
                break ChainEnd::TooLong;
            }
        };
    }

    /// Returns whether the name is an alias.
    pub(super) fn is_alias(&self) -> bool {
        self.names.len() > 1
    }

    /// Returns the first name behind the alias that a token can be signed for.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoints().next()
    }

    /// Returns whether a name appears in the chain.
    pub(crate) fn hold(&self, name: &str) -> bool {
        self.names.contains(&canonical(name))
    }

    /// Returns the instance that a cluster or custom name currently resolves to.
    pub(super) fn instance(&self) -> Option<Endpoint> {
        self.endpoints().find(|endpoint| endpoint.kind() == EndpointKind::Instance)
    }

    fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let endpoints = self.names.iter().skip(1).filter_map(|name| Endpoint::parse(name).ok());
        endpoints.filter(|endpoint| !matches!(endpoint.kind(), EndpointKind::Custom | EndpointKind::Ip))
    }
}

/// The chain with arrows.
impl fmt::Display for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(" -> "))
    }
}

/// Returns the target of a name's CNAME record, if it has one.
async fn target(client: &TokioResolver, name: &str) -> Result<Option<String>, ChainEnd> {
    let name = absolute(name).map_err(|error| ChainEnd::Unknown(error.to_string()))?;
    match client.lookup(name, RecordType::CNAME).await {
        Ok(answer) => Ok(answer.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(name) => Some(canonical(&name.to_ascii())),
            _ => None,
        })),
        Err(error) if error.is_nx_domain() => Err(ChainEnd::Missing),
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(error) => Err(ChainEnd::Unknown(described(&error))),
    }
}

fn system() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = std::mem::take(builder.options_mut());
    builder.with_options(limited(options)).build()
}

fn limited(mut options: ResolverOpts) -> ResolverOpts {
    options.timeout = LIMIT / 2;
    options.attempts = 1;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // The hosts file would hide the aliases, which are DNS's alone.
    options.use_hosts_file = ResolveHosts::Never;
    options
}

/// Parses a name: one of several labels is absolute, a single label is searched for in the system's
/// domains.
fn absolute(name: &str) -> Result<Name, hickory_resolver::proto::ProtoError> {
    let mut name = Name::from_str_relaxed(name)?;
    name.set_fqdn(name.is_fqdn() || name.num_labels() > 1);
    Ok(name)
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Describes an error; the library's own messages quote records.
fn described(error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => "no such name".to_owned(),
        error if error.is_no_records_found() => "the name has no address".to_owned(),
        NetError::Timeout => "no answer in time".to_owned(),
        error => wrapper_core::text::sanitize_server_text(&error.to_string(), None),
    }
}
