//! Roots and failures as rustls has them.

use std::io;

use rustls::{
    CertificateError, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use wrapper_core::Result;

use super::{Roots, TlsFailure};

impl Roots {
    /// Returns every certificate of the bundles, each of which rustls can read.
    ///
    /// # Errors
    ///
    /// A configuration error that names the bundle with a certificate that cannot be read.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let mut certificates = Vec::new();
        for bundle in self.bundles() {
            for certificate in CertificateDer::pem_slice_iter(bundle.pem()) {
                let certificate = certificate.map_err(|error| bundle.invalid_certificate(error))?;
                // One by one: `add_parsable_certificates` would skip a broken one without a word.
                let readable = RootCertStore::empty().add(certificate.clone());
                readable.map_err(|error| bundle.invalid_certificate(error))?;
                certificates.push(certificate);
            }
        }
        Ok(certificates)
    }

    /// Returns what rustls verifies against: the bundles, and the platform's roots where they
    /// count.
    ///
    /// # Errors
    ///
    /// As [`certificates`](Self::certificates). Certificates of the platform's store that
    /// rustls cannot read are skipped.
    pub fn root_store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.certificates()?);
        if self.uses_system() {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Ok(store)
    }
}

impl TlsFailure {
    /// Reads the kind out of the error of a handshake by rustls; `None` for an error of the stream.
    pub fn from_rustls(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let rustls::Error::InvalidCertificate(reason) = error else { return Some(Self::Other) };
        Some(match reason {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            _ => Self::Other,
        })
    }
}
