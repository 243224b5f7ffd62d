//! TLS by rustls.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use wrapper_adapter::{ClientCertificate, Roots, TlsFailure};
use wrapper_core::{Error, ErrorKind, Result};

use super::{Failed, TlsPlan};

pub(super) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// The protocol name of PostgreSQL's direct negotiation:
/// <https://www.postgresql.org/docs/current/protocol-flow.html>.
const ALPN: &[u8] = b"postgresql";

pub(super) fn connector(roots: &Roots, plan: &TlsPlan) -> Result<MakeRustlsConnect> {
    let store = roots.root_store()?;
    // The provider is named, because a process that has two of them has no default.
    let provider = plan.provider.clone().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Tls, "rustls cannot be set up").with_source(error))?;
    let builder = builder.with_root_certificates(store);
    let mut config = match &plan.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let (chain, key) = parsed(certificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                ClientCertificate::invalid("the key does not belong to it, or is of an unknown kind")
            })?
        }
    };
    if plan.direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// Returns the identity. Errors of the parser are left out, as they may quote a piece of the key.
fn parsed(certificate: &ClientCertificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain()).collect::<std::result::Result<_, _>>();
    let chain = chain.map_err(|_| ClientCertificate::invalid("a certificate cannot be read"))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key());
    Ok((chain, key.map_err(|_| ClientCertificate::invalid("the key cannot be read"))?))
}

pub(super) async fn handshake(
    connector: &MakeRustlsConnect,
    server_name: &str,
    socket: Socket,
) -> std::result::Result<Stream, Failed> {
    let failed =
        |error: io::Error| (TlsFailure::from_rustls(&error).unwrap_or(TlsFailure::Other), error.into());
    let Ok(connect) = MakeTlsConnect::<Socket>::make_tls_connect(&mut connector.clone(), server_name);
    connect.connect(socket).await.map_err(failed)
}
