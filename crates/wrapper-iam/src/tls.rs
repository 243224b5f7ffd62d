//! What a failed TLS handshake means at an endpoint of AWS.

use host_pattern::{Endpoint, EndpointKind, Partition};
use wrapper_core::{Cause, Error};

/// Explains an error about TLS, or about the roots for it, where the expected name is one of AWS or
/// hides one.
///
/// The adapter of the driver tells by the code of the cause what happened; every other error stays
/// as it is.
#[must_use]
pub fn explain_tls(error: Error, tls_name: &str) -> Error {
    let Some(code) = error.diagnosis().first().map(Cause::code) else { return error };
    let Ok(endpoint) = Endpoint::parse(tls_name) else { return error };
    let cause = match code {
        Cause::WRONG_NAME => wrong_name(endpoint.kind()),
        _ => bundle(&endpoint).and_then(|bundle| missing_root(code, bundle)),
    };
    match cause {
        Some(cause) => error.with_diagnosis([cause]),
        None => error,
    }
}

fn wrong_name(kind: EndpointKind) -> Option<Cause> {
    match kind {
        EndpointKind::Proxy | EndpointKind::ProxyEndpoint => Some(Cause::new(
            "proxy-name",
            "an endpoint of a proxy may present the certificate of the proxy's default endpoint",
            "give that one's name by `tlsServerName`",
        )),
        EndpointKind::Custom | EndpointKind::Ip => Some(Cause::new(
            "hidden-name",
            "behind a custom domain, an address or a tunnel the certificate carries the endpoint's own name",
            "give it by `iamHost` with `iam`, or by `tlsServerName`",
        )),
        _ => None,
    }
}

fn missing_root(code: &str, bundle: &str) -> Option<Cause> {
    let cause = |sentence: &str, remedy: String| Some(Cause::new("rds-ca", sentence, &remedy));
    match code {
        Cause::ROOTS_MISSING => {
            cause("the bundle is not there", format!("download the {bundle} to that path"))
        }
        Cause::ROOTS_REPLACED => cause(
            "the file in `sslrootcert` lacks the server's authority",
            format!(
                "check that it is the {bundle}; for RDS Proxy, DSQL and Aurora express, whose certificates \
                 come from public roots, write `sslrootcert=FILE,system`"
            ),
        ),
        Cause::UNKNOWN_AUTHORITY => cause(
            "the authority of RDS is not among the trusted ones",
            format!("download the {bundle} and pass its path as `sslrootcert`"),
        ),
        _ => None,
    }
}

/// Names the bundle that certificates of an RDS endpoint are verified by.
///
/// RDS instances and clusters present certificates of the RDS CA; RDS Proxy, DSQL and Aurora
/// express ones of the public Amazon roots:
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
fn bundle(endpoint: &Endpoint) -> Option<&'static str> {
    endpoint.is_rds().then_some(match endpoint.partition() {
        Some(Partition::AwsCn) => "RDS CA bundle of the China regions",
        Some(Partition::AwsUsGov) => "RDS CA bundle of the GovCloud regions",
        Some(Partition::Aws) => {
            "RDS CA bundle (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem)"
        }
        _ => "RDS CA bundle of its partition",
    })
}

#[cfg(test)]
mod tests {
    use wrapper_core::ErrorKind;

    use super::*;

    const RDS: &str = "db.abc123.us-east-2.rds.amazonaws.com";

    #[track_caller]
    fn check(code: &'static str, name: &str, says: &[&str]) {
        let error = Error::new(ErrorKind::Tls, "failed").with_diagnosis([Cause::new(code, "as it was", "")]);
        let text = explain_tls(error, name).to_string();
        for part in says {
            assert!(text.contains(part), "{text} should say {part}");
        }
    }

    #[test]
    fn unknown_authority_at_an_rds_name_names_the_bundle_of_its_partition() {
        let path = "and pass its path as `sslrootcert`";
        check(Cause::UNKNOWN_AUTHORITY, RDS, &["global/global-bundle.pem", path]);
        check(Cause::UNKNOWN_AUTHORITY, "db.abc123.rds.cn-north-1.amazonaws.com.cn", &["China", path]);
        check(Cause::UNKNOWN_AUTHORITY, "db.abc123.us-gov-west-1.rds.amazonaws.com", &["GovCloud", path]);
        check(Cause::ROOTS_REPLACED, RDS, &["global-bundle.pem", "`sslrootcert=FILE,system`"]);
    }

    #[test]
    fn file_of_roots_that_is_missing_names_the_bundle_of_an_rds_host() {
        let url = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem";
        check(Cause::ROOTS_MISSING, RDS, &[&format!("download the RDS CA bundle ({url}) to that path")]);
        check(Cause::ROOTS_MISSING, "db.abc123.rds.cn-north-1.amazonaws.com.cn", &["China regions"]);
    }

    #[test]
    fn wrong_name_is_explained_by_the_kind_of_endpoint() {
        let proxy = "p.endpoint.proxy-abc.us-east-2.rds.amazonaws.com";
        check(Cause::WRONG_NAME, proxy, &["default endpoint", "`tlsServerName`"]);
        check(Cause::WRONG_NAME, "10.0.0.1", &["`iamHost`"]);
        check(Cause::WRONG_NAME, RDS, &["as it was"]);
    }

    #[test]
    fn other_hosts_and_other_causes_stay_as_they_are() {
        for code in [Cause::ROOTS_MISSING, Cause::ROOTS_REPLACED, Cause::UNKNOWN_AUTHORITY] {
            for host in ["db.example", "10.0.0.1", "no host"] {
                check(code, host, &["as it was"]);
            }
        }
        check("no-roots", RDS, &["as it was"]);
        check(Cause::PASSWORD_REFUSED, RDS, &["as it was"]);
    }
}
