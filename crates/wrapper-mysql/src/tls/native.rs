//! TLS by the platform's library.

use mysql_async::ClientIdentity;
use native_tls::Certificate;
use wrapper_adapter::{ClientCertificate, Roots};
use wrapper_core::Result;

/// Whether what the driver calls its built-in roots are the platform's.
pub(super) const HAS_PLATFORM_ROOTS: bool = true;

/// Empty, as the library finds the platform's roots by itself.
pub(super) fn platform_roots() -> Vec<Vec<u8>> {
    Vec::new()
}

/// Returns every certificate of the bundles, one by one: the driver takes a bundle that it cannot
/// read for an empty one.
pub(super) fn certificates(roots: &Roots) -> Result<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    for bundle in roots.bundles() {
        let stack =
            Certificate::stack_from_pem(bundle.pem()).map_err(|error| bundle.invalid_certificate(error))?;
        for certificate in stack {
            certificates.push(certificate.to_der().map_err(|error| bundle.invalid_certificate(error))?);
        }
    }
    Ok(certificates)
}

/// Returns an error: the driver takes nothing but a PKCS#12 archive here.
pub(super) fn identity(_: &ClientCertificate) -> Result<ClientIdentity> {
    Err(ClientCertificate::invalid(
        "with the platform's TLS library the driver takes a PKCS#12 archive, which `client_identity` of the \
         builder gives: use that, or the feature `rustls`",
    ))
}
