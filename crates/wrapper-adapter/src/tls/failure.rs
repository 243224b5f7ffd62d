//! Errors for failed TLS handshakes.

use wrapper_core::{Cause, Error, ErrorKind};

use crate::Roots;

/// The reason of a failed TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The certificate, or one of its issuers, has expired or is not valid yet.
    Expired,
    /// The server does not do TLS.
    NotOffered,
    /// Anything else.
    Other,
    /// The certificate's chain does not end at a trusted root.
    UnknownIssuer,
    /// The certificate is issued for another name.
    WrongName,
}

impl TlsFailure {
    /// Derives the reason from an error's text: the libraries behind native-tls share no codes.
    pub fn from_text(text: &str) -> Self {
        let text = text.to_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        // In this order: OpenSSL adds a general "certificate verify failed" to each.
        if says(&[
            "has expired",
            "certificate expired",
            "not yet valid",
            "not valid yet",
            // SChannel names its codes in capitals, lowered here like the rest.
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

/// Builds the error for a failed handshake, with the trusted roots, the expected name and a remedy;
/// a plugin that knows the server's authority replaces the cause by its code.
pub fn explain_tls_failure(failure: TlsFailure, server_name: &str, roots: &Roots) -> Error {
    let (message, cause) = match failure {
        TlsFailure::NotOffered => (
            format!(
                "the server at `{server_name}` does not offer TLS, so nothing secret was sent: check that \
                 host and port lead to the database itself"
            ),
            None,
        ),
        TlsFailure::Expired => (
            format!(
                "the certificate of `{server_name}` or of one of its issuers is outside its period of \
                 validity: check this machine's clock, and renew the certificate or the bundle in \
                 `sslrootcert`"
            ),
            None,
        ),
        TlsFailure::UnknownIssuer => (
            format!(
                "the certificate of `{server_name}` is not signed by a trusted authority (trusted: {roots})"
            ),
            Some(unknown_issuer(roots, roots.uses_system() && platform_store_is_empty())),
        ),
        TlsFailure::WrongName => (
            format!("the server's certificate is not for `{server_name}` (trusted: {roots})"),
            Some(Cause::new(
                Cause::WRONG_NAME,
                "host, address or tunnel lead to another server, or its certificate is for another name",
                "check where they lead, or give the certificate's name by `tlsServerName`",
            )),
        ),
        TlsFailure::Other => {
            (format!("the TLS handshake with `{server_name}` failed (trusted: {roots})"), None)
        }
    };
    Error::new(ErrorKind::Tls, message).with_diagnosis(cause)
}

/// Returns whether this machine lacks roots, as in an image made from scratch; systems other than
/// Linux always have them.
fn platform_store_is_empty() -> bool {
    let found = openssl_probe::probe();
    cfg!(target_os = "linux") && found.cert_file.is_none() && found.cert_dir.is_empty()
}

fn unknown_issuer(roots: &Roots, platform_is_empty: bool) -> Cause {
    if platform_is_empty {
        return Cause::new(
            "no-roots",
            "the platform's store of roots is empty on this machine, as in an image made from scratch",
            "install ca-certificates, or pass a bundle as `sslrootcert`",
        );
    }
    if !roots.uses_system() {
        return Cause::new(
            Cause::ROOTS_REPLACED,
            "the file in `sslrootcert` replaces the platform's roots",
            "`sslrootcert=FILE,system` trusts both",
        );
    }
    Cause::new(
        Cause::UNKNOWN_AUTHORITY,
        "its certificate authority is not among them",
        "pass the file of its certificate authority as `sslrootcert`",
    )
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
    fn unknown_issuer_asks_for_its_authority() {
        says(
            TlsFailure::UnknownIssuer,
            "db.example",
            &Roots::system(),
            &["`db.example`", "the platform's roots", "its certificate authority as `sslrootcert`"],
        );
        let file = Roots::read(BUNDLE).expect("reads");
        let parts = ["(1 certificate)", "`sslrootcert=FILE,system`"];
        says(TlsFailure::UnknownIssuer, "db.example", &file, &parts);
    }

    #[test]
    fn empty_platform_store_is_named() {
        let cause = unknown_issuer(&Roots::system(), true);
        assert!(cause.remedy().contains("install ca-certificates"), "{cause}");
    }

    #[test]
    fn wrong_name_leads_to_the_parameter() {
        says(TlsFailure::WrongName, "10.0.0.1", &Roots::system(), &["`10.0.0.1`", "`tlsServerName`"]);
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
