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
    /// As [`certificates`](Self::certificates). What rustls cannot read of the platform's store is
    /// left out: the others count.
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
    /// Reads the kind out of the error of a handshake by rustls.
    pub fn from_rustls(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(reason)) = inner else {
            return Self::Other;
        };
        match reason {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            _ => Self::Other,
        }
    }
}
