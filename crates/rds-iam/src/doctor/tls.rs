//! The TLS handshake, looking at the certificates whether they are trusted or not.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use host_pattern::{Endpoint, EndpointKind};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use wrapper_adapter::{Roots, TlsFailure, explain_tls_failure};

use super::{
    certificate::Described,
    greeting::{Unwilling, agree},
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};

const LIMIT: Duration = Duration::from_secs(10);

/// Shakes hands as the login will, and says whether the login may be tried: the server is the one that was meant, or has an
/// answer of its own to show.
pub(super) async fn report(report: &mut Report, subject: &Subject, stream: TcpStream) -> bool {
    let seen = Arc::new(Seen::default());
    let failure = match timeout(LIMIT, shake_hands(subject, stream, &seen)).await {
        Ok(Ok(())) => {
            let fact = seen.described().map(|certificate| certificate.to_string());
            report.ok(StepName::Tls, fact.unwrap_or_else(|| "the certificate is trusted".to_owned()));
            return true;
        }
        Ok(Err(Failure::Before(Unwilling::Refused(answer)))) => {
            report.skipped(StepName::Tls, &format!("{answer}, before tls"));
            return true;
        }
        Ok(Err(failure)) => failure,
        Err(_) => {
            let text = format!("no answer within {LIMIT:?}: check that the port is the database's own");
            report.failed(
                StepName::Tls,
                "the handshake does not end",
                [Cause::new(Code::ConnectionClosed, text)],
            );
            return false;
        }
    };
    let certificate = seen.described();
    let fact = match (&failure, &certificate) {
        (Failure::Before(unwilling), _) => unwilling.to_string(),
        (Failure::Closed(error), _) => format!("the connection broke off: {error}"),
        (_, Some(certificate)) => certificate.to_string(),
        (Failure::Other(error) | Failure::Certificate(error), None) => error.to_string(),
    };
    report.failed(StepName::Tls, fact, [failure.cause(subject, certificate.as_ref())]);
    false
}

async fn shake_hands(subject: &Subject, mut stream: TcpStream, seen: &Arc<Seen>) -> Result<(), Failure> {
    if !subject.is_direct {
        agree(subject.engine, &mut stream).await.map_err(Failure::Before)?;
    }
    let mut config = config(roots(&subject.roots), Some(seen)).map_err(Failure::Other)?;
    if subject.is_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    connect(config, subject.tls_name(), stream).await.map(drop).map_err(Failure::of)
}

/// Opens TLS over a connection.
pub(super) async fn connect(
    config: ClientConfig,
    name: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A configuration that trusts the given roots; what is seen goes to `seen`.
pub(super) fn config(store: RootCertStore, seen: Option<&Arc<Seen>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let Some(seen) = seen else {
        return Ok(builder.with_root_certificates(store).with_no_client_auth());
    };
    // Without any root there is no verifier, and nothing is trusted.
    let inner =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build().ok();
    let verifier = Arc::new(Watching { inner, provider, seen: Arc::clone(seen) });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The roots as a store; what cannot be read was reported with the parameters.
pub(super) fn roots(roots: &Roots) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for bundle in roots.bundles() {
        let certificates = CertificateDer::pem_slice_iter(bundle.pem());
        store.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    if roots.uses_system() {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    store
}

enum Failure {
    Before(Unwilling),
    Certificate(rustls::Error),
    Closed(io::Error),
    Other(rustls::Error),
}

impl Failure {
    fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(inner @ rustls::Error::InvalidCertificate(_)) => Self::Certificate(inner.clone()),
            Some(inner) => Self::Other(inner.clone()),
            None => Self::Closed(error),
        }
    }

    /// The reason in the words of the library, and what the certificate tells besides.
    fn cause(&self, subject: &Subject, certificate: Option<&Described>) -> Cause {
        let name = subject.tls_name();
        let explain = |failure| explain_tls_failure(failure, name, &subject.roots).to_string();
        let (code, failure) = match self {
            Self::Before(Unwilling::NoTls) => (Code::TlsNotOffered, TlsFailure::NotOffered),
            Self::Before(Unwilling::Stranger(_)) => {
                let (port, engine) = (subject.port, subject.engine.name());
                let text =
                    format!("something else than {engine} listens on port {port}: check port and scheme");
                return Cause::new(Code::ConnectionClosed, text);
            }
            Self::Before(Unwilling::Closed(_) | Unwilling::Refused(_)) | Self::Closed(_) => {
                let text = "check that the port is the database's own, and what stands between";
                return Cause::new(Code::ConnectionClosed, text);
            }
            Self::Other(_) => (Code::Other, TlsFailure::Other),
            Self::Certificate(error) => reason(error),
        };
        let text = explain(failure);
        let hint = match (code, certificate) {
            (Code::UnknownIssuer, Some(certificate)) if certificate.is_of_rds() => {
                "; this is the RDS CA, so the RDS bundle as `sslrootcert` is what is missing".to_owned()
            }
            (Code::WrongName, Some(certificate)) => match endpoint_in(certificate) {
                Some(endpoint) if !subject.dials_endpoint() => format!("; try iamHost={endpoint}"),
                _ => String::new(),
            },
            _ => String::new(),
        };
        Cause::new(code, text + &hint)
    }
}

fn reason(error: &rustls::Error) -> (Code, TlsFailure) {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return (Code::Other, TlsFailure::Other);
    };
    match reason {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => (Code::CertificateExpired, TlsFailure::Expired),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (Code::WrongName, TlsFailure::WrongName)
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            (Code::UnknownIssuer, TlsFailure::UnknownIssuer)
        }
        _ => (Code::Other, TlsFailure::Other),
    }
}

/// A name in the certificate that a token could be signed for.
fn endpoint_in(certificate: &Described) -> Option<Endpoint> {
    let endpoints = certificate.names.iter().filter_map(|name| Endpoint::parse(name).ok());
    endpoints.into_iter().find(|endpoint| !matches!(endpoint.kind(), EndpointKind::Custom | EndpointKind::Ip))
}

/// The certificates that a server showed, its own first.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Vec<CertificateDer<'static>>>);

impl Seen {
    fn described(&self) -> Option<Described> {
        Described::read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Verifies in full, and keeps the certificate to show it.
#[derive(Debug)]
struct Watching {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) =
            shown.map(|certificate| certificate.clone().into_owned()).collect();
        match &self.inner {
            Some(inner) => {
                inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
