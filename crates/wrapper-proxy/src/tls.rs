//! TLS to the server.

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use wrapper_adapter::{Roots, TlsFailure, Trust, explain_tls_failure};
use wrapper_core::{Error, ErrorKind, Result};

/// Makes verified TLS connections; clones share it.
#[derive(Clone)]
pub(crate) struct Tls(Trust<TlsConnector>);

impl Tls {
    pub(crate) fn new(roots: Roots) -> Result<Self> {
        Trust::new(roots, |roots| Ok(TlsConnector::from(Arc::new(client_config(roots)?)))).map(Self)
    }

    /// Returns the roots in use now; their file may have been replaced since the start.
    pub(crate) fn roots(&self) -> Roots {
        self.0.current().roots.clone()
    }

    /// Connects over TLS, and verifies the server's certificate chain and name.
    pub(crate) async fn handshake(&self, name: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let trusted = self.0.current();
        let server_name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::new(ErrorKind::Host, format!("`{name}` is not a name that a certificate can hold"))
                .with_source(error)
        })?;
        let error = match trusted.made.connect(server_name, stream).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let failure = TlsFailure::from_rustls(&error).unwrap_or(TlsFailure::Other);
        if failure == TlsFailure::UnknownIssuer {
            // The file may hold new roots. They serve the next client: this connection is used up.
            self.0.renewed(&trusted).await;
        }
        Err(explain_tls_failure(failure, name, &trusted.roots).with_source(error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.roots().to_string()).finish()
    }
}

fn client_config(roots: &Roots) -> Result<ClientConfig> {
    // The provider is explicit: a process that links two of them has no default one.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Tls, "cannot configure rustls").with_source(error))?;
    Ok(builder.with_root_certificates(roots.root_store()?).with_no_client_auth())
}
