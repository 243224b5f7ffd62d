//! TLS by the platform's library.

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::{MakeTlsConnector, set_postgresql_alpn};
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use wrapper_core::{Error, ErrorKind, Result, Roots, TlsFailure, explain_tls_failure};

pub(super) fn connector(roots: &Roots, direct: bool) -> Result<MakeTlsConnector> {
    let mut builder = TlsConnector::builder();
    builder.disable_built_in_roots(!roots.uses_system());
    for bundle in roots.bundles() {
        // `Certificate::from_pem` would read the first one only.
        for certificate in
            Certificate::stack_from_pem(bundle.pem().as_bytes()).map_err(|error| bundle.bad(error))?
        {
            builder.add_root_certificate(certificate);
        }
    }
    if direct {
        set_postgresql_alpn(&mut builder);
    }
    let connector = builder.build().map_err(|error| {
        Error::new(ErrorKind::Tls, "the platform's tls library cannot be set up").with_source(error)
    })?;
    Ok(MakeTlsConnector::new(connector))
}

pub(super) async fn handshake(
    connector: &MakeTlsConnector,
    server_name: &str,
    socket: Socket,
    roots: &Roots,
) -> Result<postgres_native_tls::TlsStream<Socket>> {
    let failed = |error: native_tls::Error| {
        let failure = TlsFailure::from_text(&format!("{error} {error:?}"));
        explain_tls_failure(failure, server_name, roots).with_source(error)
    };
    let connect = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), server_name);
    connect.map_err(failed)?.connect(socket).await.map_err(failed)
}
