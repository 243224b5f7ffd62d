//! TLS by rustls.

use mysql_async::ClientIdentity;
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use wrapper_adapter::{ClientCertificate, Roots};
use wrapper_core::Result;

/// Whether what the driver calls its built-in roots are the platform's: with rustls they are a list
/// of Mozilla's, compiled in.
pub(super) const HAS_PLATFORM_ROOTS: bool = false;

/// Returns the platform's roots that rustls can read; the driver would refuse all of them for one
/// that it cannot.
pub(super) fn platform_roots() -> Vec<Vec<u8>> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    let readable = certificates
        .into_iter()
        .filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    readable.map(|certificate| certificate.to_vec()).collect()
}

/// Returns every certificate of the bundles, one by one, each checked, so that an error names the
/// bundle.
pub(super) fn certificates(roots: &Roots) -> Result<Vec<Vec<u8>>> {
    // The driver asks rustls for the provider of the process, which panics where two are linked in
    // and none is chosen.
    if CryptoProvider::get_default().is_none() {
        drop(aws_lc_rs::default_provider().install_default());
    }
    Ok(roots.certificates()?.into_iter().map(|certificate| certificate.to_vec()).collect())
}

/// Returns the identity. Errors of the parser are left out, as they may quote a piece of the key.
pub(super) fn identity(certificate: &ClientCertificate) -> Result<ClientIdentity> {
    let mut chain = CertificateDer::pem_slice_iter(certificate.chain());
    if chain.any(|certificate| certificate.is_err()) {
        return Err(ClientCertificate::invalid("a certificate cannot be read"));
    }
    if PrivateKeyDer::from_pem_slice(certificate.key()).is_err() {
        return Err(ClientCertificate::invalid("the key cannot be read"));
    }
    Ok(ClientIdentity::new(certificate.chain().to_vec().into(), certificate.key().to_vec().into()))
}
