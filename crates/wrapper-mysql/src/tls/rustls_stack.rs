//! TLS by rustls.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use wrapper_core::{Result, Roots};

/// Whether what the driver calls its built-in roots are the platform's: with rustls they are a list of Mozilla's, compiled in.
pub(super) const HAS_PLATFORM_ROOTS: bool = false;

/// The platform's roots that rustls can read; the driver would refuse all of them for one that it cannot.
pub(super) fn platform_roots() -> Vec<Vec<u8>> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    let readable = certificates
        .into_iter()
        .filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    readable.map(|certificate| certificate.to_vec()).collect()
}

/// Makes sure that every bundle can be read, so that the error names it.
pub(super) fn check(roots: &Roots) -> Result<()> {
    for bundle in roots.bundles() {
        for certificate in CertificateDer::pem_slice_iter(bundle.pem().as_bytes()) {
            let certificate = certificate.map_err(|error| bundle.bad(error))?;
            RootCertStore::empty().add(certificate).map_err(|error| bundle.bad(error))?;
        }
    }
    Ok(())
}
