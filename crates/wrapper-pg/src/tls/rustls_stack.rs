//! TLS by rustls.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use wrapper_core::{Error, ErrorKind, Result, Roots, TlsFailure, explain_tls_failure};

pub(super) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// The protocol name of PostgreSQL's direct negotiation: <https://www.postgresql.org/docs/current/protocol-flow.html>.
const ALPN: &[u8] = b"postgresql";

pub(super) fn connector(roots: &Roots, direct: bool) -> Result<MakeRustlsConnect> {
    let mut store = RootCertStore::empty();
    for bundle in roots.bundles() {
        for certificate in CertificateDer::pem_slice_iter(bundle.pem().as_bytes()) {
            let certificate = certificate.map_err(|error| bundle.bad(error))?;
            store.add(certificate).map_err(|error| bundle.bad(error))?;
        }
    }
    if roots.uses_system() {
        // A platform's store may hold certificates that rustls cannot read; the others count.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    // The provider is named, because a process that has two of them has no default.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Tls, "rustls cannot be set up").with_source(error))?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    if direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

pub(super) async fn handshake(
    connector: &MakeRustlsConnect,
    server_name: &str,
    socket: Socket,
    roots: &Roots,
) -> Result<Stream> {
    let failed =
        |error: io::Error| explain_tls_failure(failure(&error), server_name, roots).with_source(error);
    let Ok(connect) = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), server_name);
    connect.connect(socket).await.map_err(failed)
}

fn failure(error: &io::Error) -> TlsFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(reason)) = inner else {
        return TlsFailure::Other;
    };
    match reason {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::WrongName
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFailure::UnknownIssuer,
        _ => TlsFailure::Other,
    }
}
