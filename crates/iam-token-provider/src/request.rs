//! The request for a token: service, endpoint, region and user.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::SystemTime,
};

use host_pattern::{Endpoint, EndpointKind, Region};
use iam_token::{AuthToken, Presign, Recipe, Signer};

use crate::error::{Error, ErrorKind, Result};

/// Describes the target of a token: a service, an endpoint or name, a port, a region and a user.
///
/// Names are in canonical form, so that one target has one token in the cache. Everything that does
/// not change between two tokens is validated and rendered here, once.
#[derive(Clone)]
pub struct TokenRequest(Arc<Inner>);

struct Inner {
    key: TokenKey,
    presign: Presign,
}

/// The key of the token cache. It does not hold the prepared signature, several times its size: a
/// cached token may outlive all requests for it.
pub(crate) type TokenKey = Arc<Key>;

#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key {
    service: Service,
    port: u16,
    /// Name, region and user, on a line each: one allocation in place of three. The rules for names
    /// and regions allow no line break.
    text: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Service {
    Dsql,
    DsqlAdmin,
    Eks,
    ElastiCache,
    ElastiCacheServerless,
    MemoryDb,
    Msk,
    Rds,
}

impl TokenRequest {
    /// Requests a login at an RDS, Aurora or DSQL endpoint, in the region of its name.
    ///
    /// At a DSQL endpoint the user `admin` gets the token of an administrator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`] for another name, [`ErrorKind::Region`] if it names no
    /// region (a global writer endpoint), [`ErrorKind::Configuration`] for an empty user or port 0.
    pub fn database(host: &str, port: u16, user: &str) -> Result<Self> {
        Self::endpoint(&endpoint(host)?, port, user, None)
    }

    /// Like [`database`](Self::database), in this region instead of the one in the name.
    ///
    /// # Errors
    ///
    /// As [`database`](Self::database), and [`ErrorKind::Region`] for a malformed region.
    pub fn database_in(host: &str, port: u16, user: &str, region: &str) -> Result<Self> {
        Self::endpoint(&endpoint(host)?, port, user, Some(&parse_region(region)?))
    }

    /// Requests a login at a parsed endpoint, otherwise like [`database`](Self::database).
    ///
    /// # Errors
    ///
    /// As [`database`](Self::database).
    pub fn endpoint(endpoint: &Endpoint, port: u16, user: &str, region: Option<&Region>) -> Result<Self> {
        check_login(port, user)?;
        let region = region.map(Region::as_str).or(endpoint.region()).ok_or_else(|| {
            Error::new(
                ErrorKind::Region,
                format!("no region in `{endpoint}`: give the region of its current writer"),
            )
        })?;
        // DSQL has two actions:
        // https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html
        let host = endpoint.as_str();
        let (service, recipe) = match endpoint.kind() {
            EndpointKind::Dsql if user == "admin" => (Service::DsqlAdmin, iam_token::dsql_admin(host)),
            EndpointKind::Dsql => (Service::Dsql, iam_token::dsql(host)),
            _ => (Service::Rds, iam_token::rds(host, port, user)),
        };
        Self::new(service, host, port, region, user, recipe.region(region))
    }

    /// Requests a login at any host with RDS's kind of token, such as a database that checks tokens
    /// as RDS does.
    ///
    /// # Security
    ///
    /// The server at that host receives a token of your credentials. Take the name from code or a
    /// trusted person, never from untrusted input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`] for an invalid name, [`ErrorKind::Region`] for a malformed region,
    /// [`ErrorKind::Configuration`] for an empty user or port 0.
    pub fn rds_at_any_host(host: &str, port: u16, user: &str, region: &str) -> Result<Self> {
        check_login(port, user)?;
        let region = parse_region(region)?;
        // One spelling for one target: the name is signed, and is the key of the cache.
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let recipe = iam_token::rds(&host, port, user).region(region.as_str());
        Self::new(Service::Rds, &host, port, region.as_str(), user, recipe)
    }

    /// Requests a login at an ElastiCache replication group by its id, which is not its endpoint.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a name that the service does not allow,
    /// [`ErrorKind::Region`] for a malformed region.
    pub fn elasticache(name: &str, user: &str, region: &str) -> Result<Self> {
        Self::named(Service::ElastiCache, name, user, region, iam_token::elasticache)
    }

    /// Requests a login at a serverless cache of ElastiCache by its name.
    ///
    /// # Errors
    ///
    /// As [`elasticache`](Self::elasticache).
    pub fn elasticache_serverless(name: &str, user: &str, region: &str) -> Result<Self> {
        let recipe = iam_token::elasticache_serverless;
        Self::named(Service::ElastiCacheServerless, name, user, region, recipe)
    }

    /// Requests a login at a MemoryDB cluster by its name.
    ///
    /// # Errors
    ///
    /// As [`elasticache`](Self::elasticache).
    pub fn memorydb(name: &str, user: &str, region: &str) -> Result<Self> {
        Self::named(Service::MemoryDb, name, user, region, iam_token::memorydb)
    }

    /// Requests a login at the MSK clusters of a region, as a SASL/OAUTHBEARER token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Region`] for a malformed region.
    pub fn msk(region: &str) -> Result<Self> {
        let region = parse_region(region)?;
        Self::new(Service::Msk, "", 0, region.as_str(), "", iam_token::msk(region.as_str()))
    }

    /// Requests the bearer token of an EKS cluster, which lives for 60 s and is signed each time.
    ///
    /// # Errors
    ///
    /// As [`elasticache`](Self::elasticache).
    pub fn eks(name: &str, region: &str) -> Result<Self> {
        let region = parse_region(region)?;
        Self::new(Service::Eks, name, 0, region.as_str(), "", iam_token::eks(name, region.as_str()))
    }

    fn named(
        service: Service,
        name: &str,
        user: &str,
        region: &str,
        recipe: impl FnOnce(&str, &str) -> Recipe,
    ) -> Result<Self> {
        let region = parse_region(region)?;
        let recipe = recipe(name, user).region(region.as_str());
        Self::new(service, &name.to_ascii_lowercase(), 0, region.as_str(), user, recipe)
    }

    fn new(
        service: Service,
        name: &str,
        port: u16,
        region: &str,
        user: &str,
        recipe: Recipe,
    ) -> Result<Self> {
        let presign = recipe.build().map_err(|error| {
            let kind = match error.kind() {
                iam_token::ErrorKind::InvalidHost => ErrorKind::Host,
                iam_token::ErrorKind::InvalidRegion | iam_token::ErrorKind::MissingRegion => {
                    ErrorKind::Region
                }
                _ => ErrorKind::Configuration,
            };
            Error::caused(kind, error.to_string(), error)
        })?;
        let key = Key { service, port, text: format!("{name}\n{region}\n{user}").into() };
        Ok(Self(Arc::new(Inner { key: Arc::new(key), presign })))
    }

    /// Returns the endpoint or name in its canonical form; empty for MSK.
    pub fn host(&self) -> &str {
        self.0.key.parts()[0]
    }

    /// Returns the port; 0 where the service signs none.
    pub fn port(&self) -> u16 {
        self.0.key.port
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        self.0.key.parts()[1]
    }

    /// Returns the user; empty for MSK and EKS.
    pub fn user(&self) -> &str {
        self.0.key.parts()[2]
    }

    pub(crate) fn key(&self) -> &TokenKey {
        &self.0.key
    }

    /// Returns whether its tokens are too short-lived for the cache.
    pub(crate) fn is_signed_each_time(&self) -> bool {
        self.0.key.service == Service::Eks
    }

    pub(crate) fn sign(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken> {
        // The reason is part of the message: where only that is shown, it has the remedy.
        self.0.presign.sign_with(signer, now).map_err(|error| {
            Error::new(ErrorKind::Token, format!("no token could be signed for {self}: {error}"))
        })
    }
}

impl Key {
    /// Returns name, region and user.
    fn parts(&self) -> [&str; 3] {
        let mut lines = self.text.splitn(3, '\n');
        std::array::from_fn(|_| lines.next().unwrap_or_default())
    }
}

fn check_login(port: u16, user: &str) -> Result<()> {
    if user.is_empty() {
        return Err(Error::configuration("no user to sign a token for: name the database user"));
    }
    if port == 0 {
        return Err(Error::configuration("port 0 cannot be signed for: it is 1 to 65535"));
    }
    Ok(())
}

/// Parses a name that a token can be signed for.
fn endpoint(host: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::parse(host).map_err(|error| {
        Error::new(ErrorKind::Host, format!("no token can be signed for this host: {error}"))
    })?;
    match endpoint.kind() {
        EndpointKind::Ip | EndpointKind::Custom => Err(Error::new(
            ErrorKind::Host,
            match of_another_service(endpoint.as_str()) {
                Some((service, call)) => format!(
                    "`{endpoint}` belongs to {service}, which takes another kind of token: ask for \
                     one by `TokenRequest::{call}"
                ),
                None => format!(
                    "`{endpoint}` is not an endpoint that tokens can be signed for: such a name looks like \
                     db-identifier.cluster-XYZ.us-east-2.rds.amazonaws.com"
                ),
            },
        )),
        _ => Ok(endpoint),
    }
}

/// Names the service of an endpoint that is not a database, and the call for its tokens.
fn of_another_service(host: &str) -> Option<(&'static str, &'static str)> {
    let name = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let has = |wanted: &str| name.split('.').any(|label| label == wanted);
    // `….serverless.use1.cache`, `….use1.cache`, `….memorydb.us-east-1`, `….kafka.us-east-1`,
    // `….eks.us-east-1`
    if has("cache") && has("serverless") {
        return Some(("ElastiCache", "elasticache_serverless` with the cache's name"));
    }
    if has("cache") {
        return Some(("ElastiCache", "elasticache` with the replication group's id"));
    }
    if has("memorydb") {
        return Some(("MemoryDB", "memorydb` with the cluster's name"));
    }
    if has("kafka") || has("kafka-serverless") {
        return Some(("MSK", "msk`"));
    }
    has("eks").then_some(("EKS", "eks` with the cluster's name"))
}

fn parse_region(region: &str) -> Result<Region> {
    Region::parse(region).map_err(|error| Error::new(ErrorKind::Region, error.to_string()))
}

impl PartialEq for TokenRequest {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for TokenRequest {}

impl Hash for TokenRequest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl fmt::Display for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { service, port, .. } = &*self.0.key;
        let [name, region, user] = self.0.key.parts();
        let user = user.escape_debug();
        match service {
            Service::Rds | Service::Dsql | Service::DsqlAdmin => {
                write!(f, "user `{user}` at `{name}:{port}` in {region}")
            }
            Service::ElastiCache | Service::ElastiCacheServerless => {
                write!(f, "user `{user}` at the cache `{}` in {region}", name.escape_debug())
            }
            Service::MemoryDb => {
                write!(f, "user `{user}` at the cluster `{}` in {region}", name.escape_debug())
            }
            Service::Eks => write!(f, "the EKS cluster `{}` in {region}", name.escape_debug()),
            Service::Msk => write!(f, "MSK in {region}"),
        }
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({self})")
    }
}
