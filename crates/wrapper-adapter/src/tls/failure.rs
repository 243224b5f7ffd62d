//! Words for a TLS handshake that failed.

use host_pattern::{Endpoint, EndpointKind, Partition};

use wrapper_core::{Error, ErrorKind};

use crate::Roots;

/// Tells why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The certificate, or one of its issuers, is past its end or not valid yet.
    Expired,
    /// The server does not do TLS.
    NotOffered,
    /// Anything else.
    Other,
    /// No trusted root stands at the end of the certificate's chain.
    UnknownIssuer,
    /// The certificate does not carry the expected name.
    WrongName,
}

impl TlsFailure {
    /// Reads the reason out of an error's text: the libraries behind native-tls have no common
    /// codes.
    pub fn from_text(text: &str) -> Self {
        let text = text.to_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        // In this order: OpenSSL adds a general "certificate verify failed" to each.
        if says(&[
            "has expired",
            "certificate expired",
            "not yet valid",
            "not valid yet",
            "cert_e_expired",
            "validity period",
        ]) {
            Self::Expired
        } else if says(&[
            "hostname mismatch",
            "ip address mismatch",
            "host name",
            "cn_no_match",
            "hostname",
            "not valid for name",
        ]) {
            Self::WrongName
        } else if says(&[
            "issuer certificate",
            "self-signed",
            "self signed",
            "untrusted",
            "not trusted",
            "unknownissuer",
            "badsignature",
        ]) {
            Self::UnknownIssuer
        } else {
            Self::Other
        }
    }
}

/// Builds the error for a failed handshake: what was trusted, which name was expected, and what to
/// do.
pub fn explain_tls_failure(failure: TlsFailure, server_name: &str, roots: &Roots) -> Error {
    let endpoint = Endpoint::parse(server_name).ok();
    let kind = endpoint.as_ref().map(Endpoint::kind);
    let message = match failure {
        TlsFailure::NotOffered => format!(
            "the server at `{server_name}` offers no TLS, so nothing secret was sent: check that host and \
             port lead to the database itself"
        ),
        TlsFailure::Expired => format!(
            "the certificate of `{server_name}` or of one of its issuers is out of its period of validity: \
             check this machine's clock, and renew the certificate or the bundle in `sslrootcert`"
        ),
        TlsFailure::UnknownIssuer => {
            format!(
                "no trusted issuer stands behind the certificate of `{server_name}` (trusted: {roots}){}",
                issuer_hint(endpoint.as_ref(), roots, roots.uses_system() && platform_store_is_empty())
            )
        }
        TlsFailure::WrongName => format!(
            "the server's certificate is not for `{server_name}` (trusted: {roots}){}",
            match kind {
                Some(EndpointKind::Proxy | EndpointKind::ProxyEndpoint) =>
                    ": an endpoint of a proxy may present the certificate of the proxy's default endpoint, \
                     whose name `tlsServerName` then has to give",
                Some(EndpointKind::Custom | EndpointKind::Ip) =>
                    ": behind a custom domain, an address or a tunnel give the endpoint's own name, by \
                     `iamHost` with `iam` or by `tlsServerName`",
                _ => ": check that host, address and tunnel lead to this endpoint",
            }
        ),
        TlsFailure::Other => {
            format!("the TLS handshake with `{server_name}` failed (trusted: {roots})")
        }
    };
    Error::new(ErrorKind::Tls, message)
}

/// Returns whether this machine has no roots of its own, as in an image made from scratch; on other
/// systems than Linux they always exist.
fn platform_store_is_empty() -> bool {
    let found = openssl_probe::probe();
    cfg!(target_os = "linux") && found.cert_file.is_none() && found.cert_dir.is_empty()
}

/// Names the bundle that certificates of an RDS endpoint are verified by.
///
/// RDS instances and clusters present certificates of the RDS CA; RDS Proxy, DSQL and Aurora
/// express ones of the public Amazon roots:
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
pub(super) fn bundle_of(endpoint: &Endpoint) -> Option<&'static str> {
    endpoint.is_rds().then_some(match endpoint.partition() {
        Some(Partition::AwsCn) => "RDS CA bundle of the China regions",
        Some(Partition::AwsUsGov) => "RDS CA bundle of the GovCloud regions",
        Some(Partition::Aws) => {
            "RDS CA bundle (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem)"
        }
        _ => "RDS CA bundle of its partition",
    })
}

fn issuer_hint(endpoint: Option<&Endpoint>, roots: &Roots, platform_is_empty: bool) -> String {
    if platform_is_empty {
        return ": the platform's store of roots is empty on this machine, as in an image made from scratch: \
                install ca-certificates, or pass a bundle as `sslrootcert`".to_owned();
    }
    let bundle = endpoint.and_then(bundle_of);
    match (bundle, roots.bundles().is_empty(), roots.uses_system()) {
        (Some(bundle), true, _) => {
            format!(": download the {bundle} and pass its path as `sslrootcert`")
        }
        (Some(bundle), false, false) => format!(
            ": check that `sslrootcert` is the {bundle}; for RDS Proxy, DSQL and Aurora express, whose \
             certificates come from public roots, write `sslrootcert=FILE,system`"
        ),
        (Some(bundle), false, true) => format!(": check that `sslrootcert` holds the {bundle}"),
        (None, false, false) => {
            ": the file in `sslrootcert` replaces the platform's roots; `sslrootcert=FILE,system` trusts both"
                .to_owned()
        }
        (None, _, _) => ": pass the file of its certificate authority as `sslrootcert`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = "-----BEGIN CERTIFICATE-----";

    #[track_caller]
    fn says(failure: TlsFailure, name: &str, roots: &Roots, parts: &[&str]) {
        let error = explain_tls_failure(failure, name, roots);
        assert_eq!(error.kind(), ErrorKind::Tls);
        for part in parts {
            assert!(error.to_string().contains(part), "{error} should say {part}");
        }
    }

    #[test]
    fn unknown_issuer_at_an_rds_name_names_the_bundle() {
        let name = "db.abc123.us-east-2.rds.amazonaws.com";
        says(
            TlsFailure::UnknownIssuer,
            name,
            &Roots::system(),
            &[name, "the platform's roots", "global-bundle.pem", "sslrootcert"],
        );
        let file = Roots::read(BUNDLE).expect("reads");
        says(TlsFailure::UnknownIssuer, name, &file, &["(1 certificate)", "`sslrootcert=FILE,system`"]);
        let china = "db.abc123.rds.cn-north-1.amazonaws.com.cn";
        says(TlsFailure::UnknownIssuer, china, &Roots::system(), &["China"]);
        let gov = "db.abc123.us-gov-west-1.rds.amazonaws.com";
        says(TlsFailure::UnknownIssuer, gov, &Roots::system(), &["GovCloud"]);
    }

    #[test]
    fn unknown_issuer_elsewhere_asks_for_its_authority() {
        says(
            TlsFailure::UnknownIssuer,
            "db.example",
            &Roots::system(),
            &["`db.example`", "its certificate authority as `sslrootcert`"],
        );
    }

    #[test]
    fn empty_platform_store_is_named() {
        let hint = issuer_hint(None, &Roots::system(), true);
        assert!(hint.contains("install ca-certificates"), "{hint}");
    }

    #[test]
    fn wrong_name_is_explained_by_the_kind_of_endpoint() {
        let proxy = "p.endpoint.proxy-abc.us-east-2.rds.amazonaws.com";
        says(TlsFailure::WrongName, proxy, &Roots::system(), &["`tlsServerName`", "default endpoint"]);
        says(TlsFailure::WrongName, "10.0.0.1", &Roots::system(), &["iamHost"]);
        says(TlsFailure::WrongName, "db.abc.us-east-2.rds.amazonaws.com", &Roots::system(), &["tunnel"]);
    }

    #[test]
    fn reasons_in_the_words_of_rustls_are_read() {
        let check = |text: &str, failure| assert_eq!(TlsFailure::from_text(text), failure, "{text}");

        check("invalid peer certificate: UnknownIssuer", TlsFailure::UnknownIssuer);
        check("invalid peer certificate: BadSignature", TlsFailure::UnknownIssuer);
        check("invalid peer certificate: certificate expired: verification time", TlsFailure::Expired);
        check("invalid peer certificate: certificate not valid for name \"db\"", TlsFailure::WrongName);
        check("received fatal alert: HandshakeFailure", TlsFailure::Other);
    }
}
