//! What a token is for.

use std::{fmt, sync::Arc};

use host_pattern::{Endpoint, EndpointKind, Region};
use iam_token::{AuthToken, Signer, dsql, dsql_admin, rds};
use std::time::SystemTime;
use wrapper_core::{Error, ErrorKind, Result};

/// Names what a token opens: an endpoint, a port, a region and a database user.
///
/// It keys the cache of tokens, with the host in its canonical form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenTarget {
    service: Service,
    host: Arc<str>,
    port: u16,
    region: Arc<str>,
    user: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Service {
    Dsql,
    DsqlAdmin,
    Rds,
}

impl TokenTarget {
    /// A target at an RDS, Aurora or DSQL endpoint, in the region of its name.
    ///
    /// # Errors
    ///
    /// A host error if the name is no such endpoint, a region error if it names no region (a global writer endpoint),
    /// a configuration error for an empty user or port 0.
    pub fn new(host: &str, port: u16, user: &str) -> Result<Self> {
        Self::of(&endpoint(host)?, port, user, None)
    }

    /// The same in a region that the name does not tell, or tells otherwise.
    ///
    /// # Errors
    ///
    /// A region error if it does not have the shape of one.
    pub fn with_region(host: &str, port: u16, user: &str, region: &str) -> Result<Self> {
        let region = Region::parse(region).map_err(|error| {
            Error::new(ErrorKind::Region, "the region does not have the shape of one").with_source(error)
        })?;
        Self::of(&endpoint(host)?, port, user, Some(region.as_str()))
    }

    pub(crate) fn of(endpoint: &Endpoint, port: u16, user: &str, region: Option<&str>) -> Result<Self> {
        if user.is_empty() {
            return Err(Error::new(
                ErrorKind::Configuration,
                "no user to sign a token for: name the database user",
            ));
        }
        if port == 0 {
            return Err(Error::new(
                ErrorKind::Configuration,
                "port 0 cannot be signed for: it is 1 to 65535",
            ));
        }
        let region = region.or(endpoint.region()).ok_or_else(|| {
            Error::new(
                ErrorKind::Region,
                format!("no region in `{endpoint}`: set `iamRegion` to the region of its current writer"),
            )
        })?;
        // DSQL knows two actions: https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html
        let service = match endpoint.kind() {
            EndpointKind::Dsql if user == "admin" => Service::DsqlAdmin,
            EndpointKind::Dsql => Service::Dsql,
            _ => Service::Rds,
        };
        Ok(Self { service, host: endpoint.as_str().into(), port, region: region.into(), user: user.into() })
    }

    /// The endpoint, lower-case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The database user.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn sign(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken> {
        let recipe = match self.service {
            Service::Rds => rds(&self.host, self.port, &self.user),
            Service::Dsql => dsql(&self.host),
            Service::DsqlAdmin => dsql_admin(&self.host),
        };
        let signed = recipe.region(&self.region).build().and_then(|request| request.sign_with(signer, now));
        signed.map_err(|error| {
            Error::new(ErrorKind::Token, format!("no token could be signed for {self}")).with_source(error)
        })
    }
}

/// Reads a name that a token can be signed for.
pub(crate) fn endpoint(host: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::parse(host).map_err(|error| {
        Error::new(ErrorKind::Host, "no token can be signed for this host").with_source(error)
    })?;
    match endpoint.kind() {
        EndpointKind::Ip | EndpointKind::Custom => Err(Error::new(
            ErrorKind::Host,
            format!(
                "`{endpoint}` is no endpoint that a token can be signed for: such a name looks like db-identifier.cluster-XYZ.us-east-2.rds.amazonaws.com"
            ),
        )),
        _ => Ok(endpoint),
    }
}

impl fmt::Display for TokenTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, region, user, .. } = self;
        write!(f, "user `{}` at `{host}:{port}` in {region}", user.escape_debug())
    }
}

impl fmt::Debug for TokenTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenTarget({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "DB.abc123.us-east-2.rds.amazonaws.com.";

    #[test]
    fn target_is_canonical_and_takes_the_region_from_the_name() {
        let target = TokenTarget::new(HOST, 5432, "jane").expect("an endpoint");

        assert_eq!(target.host(), "db.abc123.us-east-2.rds.amazonaws.com");
        assert_eq!(target.region(), "us-east-2");
        assert_eq!(
            target.to_string(),
            "user `jane` at `db.abc123.us-east-2.rds.amazonaws.com:5432` in us-east-2"
        );
    }

    #[test]
    fn target_wrong() {
        let kind = |host, port, user| TokenTarget::new(host, port, user).expect_err("refused").kind();

        assert_eq!(kind("10.0.0.1", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind("db.example", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind("a b", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind(HOST, 0, "jane"), ErrorKind::Configuration);
        assert_eq!(kind(HOST, 5432, ""), ErrorKind::Configuration);
        let error = TokenTarget::with_region(HOST, 5432, "jane", "mars").expect_err("no region");
        assert_eq!(error.kind(), ErrorKind::Region);
    }

    #[test]
    fn region_missing_in_a_global_endpoint_is_asked_for() {
        let global = "db.global-abc123.global.rds.amazonaws.com";

        let error = TokenTarget::new(global, 5432, "jane").expect_err("no region");

        assert_eq!(error.kind(), ErrorKind::Region);
        assert!(error.to_string().contains("`iamRegion`"), "{error}");
        assert!(TokenTarget::with_region(global, 5432, "jane", " US-East-2 ").is_ok());
    }
}
