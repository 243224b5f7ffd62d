//! The roots to trust, as sqlx takes them.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use wrapper_adapter::Roots;
use wrapper_core::Result;

/// Puts all bundles together, once each of their certificates has been read.
pub(crate) fn pem(roots: &Roots) -> Result<Vec<u8>> {
    let mut pem = Vec::new();
    for bundle in roots.bundles() {
        for certificate in CertificateDer::pem_slice_iter(bundle.pem()) {
            let certificate = certificate.map_err(|error| bundle.invalid_certificate(error))?;
            RootCertStore::empty().add(certificate).map_err(|error| bundle.invalid_certificate(error))?;
        }
        pem.extend_from_slice(bundle.pem());
        pem.push(b'\n');
    }
    Ok(pem)
}
