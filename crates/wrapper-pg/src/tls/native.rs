//! TLS by the platform's library.

use native_tls::{Certificate, Identity, TlsConnector};
use postgres_native_tls::{MakeTlsConnector, set_postgresql_alpn};
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use wrapper_adapter::{ClientCertificate, Roots, TlsFailure};
use wrapper_core::{Error, ErrorKind, Result};

use super::{Failed, TlsPlan};

pub(super) fn connector(roots: &Roots, plan: &TlsPlan) -> Result<MakeTlsConnector> {
    let mut builder = TlsConnector::builder();
    builder.disable_built_in_roots(!roots.uses_system());
    for bundle in roots.bundles() {
        // `Certificate::from_pem` would read the first one only.
        for certificate in
            Certificate::stack_from_pem(bundle.pem()).map_err(|error| bundle.invalid_certificate(error))?
        {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some(certificate) = &plan.certificate {
        // The library's error may quote what it could not read.
        let identity = Identity::from_pkcs8(certificate.chain(), certificate.key()).map_err(|_| {
            ClientCertificate::invalid(
                "the platform's TLS library wants a key in PKCS#8 (`BEGIN PRIVATE KEY`) that belongs to the \
                 certificate",
            )
        })?;
        builder.identity(identity);
    }
    if plan.direct {
        set_postgresql_alpn(&mut builder);
    }
    let connector = builder.build().map_err(|error| {
        Error::new(ErrorKind::Tls, "the platform's TLS library cannot be set up").with_source(error)
    })?;
    Ok(MakeTlsConnector::new(connector))
}

pub(super) async fn handshake(
    connector: &MakeTlsConnector,
    server_name: &str,
    socket: Socket,
) -> std::result::Result<postgres_native_tls::TlsStream<Socket>, Failed> {
    let failed = |error: native_tls::Error| {
        // The `Debug` form as well, for codes and causes that `Display` leaves out.
        (TlsFailure::from_text(&format!("{error} {error:?}")), Box::new(error).into())
    };
    let connect = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), server_name);
    connect.map_err(failed)?.connect(socket).await.map_err(failed)
}
