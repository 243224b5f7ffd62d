//! The TLS handshake, which records the certificates even if they are not trusted.

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
use token_cache::Clock;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use wrapper_adapter::{LoginAnswer, Roots, TlsFailure, explain_tls_failure};
use wrapper_iam::{SystemClock, explain_tls};

use super::{
    cause::{Cause, Code},
    certificate::CertificateSummary,
    negotiation::{NegotiationError, negotiate},
    report::{Report, StepName},
};
use crate::{cli::Engine, target::Target};

const LIMIT: Duration = Duration::from_secs(10);

/// Runs the handshake as the login will. Returns whether the login may be tried: the server is
/// verified, or has refused the client before TLS, which the driver reports.
pub(super) async fn report(report: &mut Report, target: &Target, stream: TcpStream) -> bool {
    let seen = Arc::new(Recorded::default());
    let failure = match timeout(LIMIT, handshake(target, stream, &seen)).await {
        Ok(Ok(())) => {
            let certificate = seen.described();
            let fact = certificate.as_ref().map(ToString::to_string);
            let fact = fact.unwrap_or_else(|| "the certificate is trusted".to_owned());
            match certificate.and_then(|certificate| certificate.warning(SystemClock.now())) {
                Some(remedy) => report.warning(StepName::Tls, fact, Code::CertificateEndsSoon, remedy),
                None => report.ok(StepName::Tls, fact),
            }
            return true;
        }
        // The MySQL driver reports this answer; that of PostgreSQL takes it for a server without
        // TLS.
        Ok(Err(HandshakeError::Before(NegotiationError::Refused(answer))))
            if target.engine == Engine::Mysql =>
        {
            report.skipped(StepName::Tls, &format!("{answer}, before TLS"));
            return true;
        }
        Ok(Err(failure)) => failure,
        Err(_) => {
            let text = match target.engine {
                Engine::Mysql => format!(
                    "no greeting within {LIMIT:?}: check that the port is the database's; HTTP and \
                     PostgreSQL, for example, wait for the client"
                ),
                Engine::Postgres => {
                    format!("no answer within {LIMIT:?}: check that the port is the database's")
                }
            };
            report.failed(
                StepName::Tls,
                "the TLS handshake timed out",
                [Cause::new(Code::ConnectionClosed, text)],
            );
            return false;
        }
    };
    let certificate = seen.described();
    let fact = match (&failure, &certificate) {
        (HandshakeError::Before(unwilling), _) => unwilling.to_string(),
        (HandshakeError::Closed(error), _) => format!("the connection was lost: {error}"),
        (_, Some(certificate)) => certificate.to_string(),
        (HandshakeError::Other(error) | HandshakeError::Certificate(error), None) => error.to_string(),
    };
    report.failed(StepName::Tls, fact, [failure.cause(target, certificate.as_ref())]);
    false
}

async fn handshake(
    target: &Target,
    mut stream: TcpStream,
    seen: &Arc<Recorded>,
) -> Result<(), HandshakeError> {
    if !target.is_direct {
        negotiate(target.engine, &mut stream).await.map_err(HandshakeError::Before)?;
    }
    let mut config = config(roots(&target.roots), Some(seen)).map_err(HandshakeError::Other)?;
    // Direct TLS needs this ALPN protocol: PostgreSQL rejects the handshake without it.
    if target.is_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    connect(config, target.tls_name(), stream).await.map(drop).map_err(HandshakeError::of)
}

/// Runs the TLS handshake over a connection.
pub(super) async fn connect(
    config: ClientConfig,
    name: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Returns a configuration that trusts the given roots, and records the certificates in `seen`.
pub(super) fn config(
    store: RootCertStore,
    seen: Option<&Arc<Recorded>>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let Some(seen) = seen else {
        return Ok(builder.with_root_certificates(store).with_no_client_auth());
    };
    // Without roots the verifier cannot be built, and no certificate is trusted.
    let inner =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build().ok();
    let verifier = Arc::new(RecordingVerifier { inner, provider, seen: Arc::clone(seen) });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Returns the roots as a store; unreadable ones were reported by the parameters step.
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

enum HandshakeError {
    Before(NegotiationError),
    Certificate(rustls::Error),
    Closed(io::Error),
    Other(rustls::Error),
}

impl HandshakeError {
    fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(inner @ rustls::Error::InvalidCertificate(_)) => Self::Certificate(inner.clone()),
            Some(inner) => Self::Other(inner.clone()),
            None => Self::Closed(error),
        }
    }

    /// Returns the cause in the words of the library, with hints from the certificate.
    fn cause(&self, target: &Target, certificate: Option<&CertificateSummary>) -> Cause {
        let name = target.tls_name();
        let explain =
            |failure| explain_tls(explain_tls_failure(failure, name, &target.roots), name).to_string();
        let (code, failure) = match self {
            Self::Before(NegotiationError::NoTls) => (Code::TlsNotOffered, TlsFailure::NotOffered),
            Self::Before(NegotiationError::OtherProtocol(service, _)) => {
                let (port, engine) = (target.port, target.engine.name());
                let text =
                    format!("port {port} belongs to {service}, not to {engine}: check port and scheme");
                return Cause::new(Code::OtherService, text);
            }
            Self::Before(NegotiationError::Refused(answer)) => {
                let engine = target.engine.into();
                let row = LoginAnswer::new(engine, answer.code(), answer.text()).classify(&[&target.user]);
                let cause = row.cause(engine, &target.user, target.database.as_deref());
                let text = "the server refuses all connections before TLS: check its state and its log";
                return cause.as_ref().map_or(Cause::new(Code::NotReady, text), Cause::from);
            }
            Self::Before(NegotiationError::Closed(_)) | Self::Closed(_) => {
                let text = "check that the port is the database's, and any proxy or firewall on the way";
                return Cause::new(Code::ConnectionClosed, text);
            }
            Self::Other(_) => (Code::Other, TlsFailure::Other),
            Self::Certificate(error) => reason(error),
        };
        let text = explain(failure);
        let hint = match (code, certificate) {
            (Code::UnknownIssuer, Some(certificate)) if certificate.is_of_rds() => {
                "; the issuer is the RDS CA: pass the RDS bundle as `sslrootcert`".to_owned()
            }
            (Code::WrongName, Some(certificate)) => match endpoint_in(certificate) {
                Some(endpoint) if !target.dials_endpoint() => format!("; try iamHost={endpoint}"),
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

/// Returns the first name in the certificate that a token can be signed for.
fn endpoint_in(certificate: &CertificateSummary) -> Option<Endpoint> {
    let endpoints = certificate.names.iter().filter_map(|name| Endpoint::parse(name).ok());
    endpoints.into_iter().find(|endpoint| !matches!(endpoint.kind(), EndpointKind::Custom | EndpointKind::Ip))
}

/// The certificates that a server presented, its own first.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<Vec<CertificateDer<'static>>>);

impl Recorded {
    fn described(&self) -> Option<CertificateSummary> {
        CertificateSummary::read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Verifies in full, and records the certificates.
#[derive(Debug)]
struct RecordingVerifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Arc<Recorded>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // Recorded before the verdict: the report describes certificates that are not trusted, too.
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
