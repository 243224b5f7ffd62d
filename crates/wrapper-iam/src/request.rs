//! What a token is for, by the parameters of a connection.

use host_pattern::{Endpoint, EndpointKind};
use iam_token_provider::{ErrorKind, TokenRequest};
use wrapper_core::{Error, Result};

use crate::connect_error;

/// Returns what the token of a login is for: an RDS, Aurora or DSQL endpoint, in the region of its
/// name unless `iamRegion` is given.
///
/// # Errors
///
/// A host, region or configuration error that names the parameter to set.
pub fn token_request(host: &str, port: u16, user: &str, region: Option<&str>) -> Result<TokenRequest> {
    let request = match region {
        Some(region) => TokenRequest::database_in(host, port, user, region),
        None => TokenRequest::database(host, port, user),
    };
    request.map_err(|error| explained(&error, host, region.is_some()))
}

/// Names the parameter that gives a missing region.
pub(crate) fn explained(error: &iam_token_provider::Error, host: &str, has_region: bool) -> Error {
    let connect_error = connect_error(error);
    if error.kind() == ErrorKind::Region && !has_region {
        let host = host.escape_debug();
        let message = format!("no region in `{host}`: set `iamRegion` to the region of its current writer");
        return connect_error.with_message(message);
    }
    connect_error
}

/// Reads a name that a token can be signed for.
pub(crate) fn endpoint(host: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::parse(host).map_err(|error| {
        Error::new(wrapper_core::ErrorKind::Host, format!("no token can be signed for this host: {error}"))
    })?;
    match endpoint.kind() {
        EndpointKind::Ip | EndpointKind::Custom => Err(Error::new(
            wrapper_core::ErrorKind::Host,
            format!(
                "`{}` is not an endpoint that tokens can be signed for: such a name looks like \
                 db-identifier.cluster-XYZ.us-east-2.rds.amazonaws.com",
                wrapper_core::text::bracketed(endpoint.as_str())
            ),
        )),
        _ => Ok(endpoint),
    }
}

#[cfg(test)]
mod tests {
    use wrapper_core::ErrorKind;

    use super::*;

    const HOST: &str = "DB.abc123.us-east-2.rds.amazonaws.com.";

    #[test]
    fn request_is_canonical_and_takes_the_region_from_the_name() {
        let request = token_request(HOST, 5432, "jane", None).expect("an endpoint");

        assert_eq!(request.host(), "db.abc123.us-east-2.rds.amazonaws.com");
        assert_eq!(request.region(), "us-east-2");
        assert_eq!(
            request.to_string(),
            "user `jane` at `db.abc123.us-east-2.rds.amazonaws.com:5432` in us-east-2"
        );
    }

    #[test]
    fn request_wrong() {
        let kind = |host, port, user| token_request(host, port, user, None).expect_err("refused").kind();

        assert_eq!(kind("10.0.0.1", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind("db.example", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind("a b", 5432, "jane"), ErrorKind::Host);
        assert_eq!(kind(HOST, 0, "jane"), ErrorKind::Configuration);
        assert_eq!(kind(HOST, 5432, ""), ErrorKind::Configuration);
        let error = token_request(HOST, 5432, "jane", Some("mars")).expect_err("no region");
        assert_eq!(error.kind(), ErrorKind::Region);
    }

    #[test]
    fn region_missing_in_a_global_endpoint_is_asked_for() {
        let global = "db.global-abc123.global.rds.amazonaws.com";

        let error = token_request(global, 5432, "jane", None).expect_err("no region");

        assert_eq!(error.kind(), ErrorKind::Region);
        assert!(error.to_string().contains("`iamRegion`"), "{error}");
        assert!(token_request(global, 5432, "jane", Some(" US-East-2 ")).is_ok());
    }
}
