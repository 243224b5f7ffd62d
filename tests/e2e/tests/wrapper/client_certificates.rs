//! A server that asks its clients for certificates, and the cryptography of one's own; without
//! `danger`, with either stack.

use std::{fs, net::IpAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rds_wrapper::{
    ErrorKind, Registry,
    host::resolver_fn,
    pg::{Connector, ConnectorBuilder, TlsStack},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        CipherSuite, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

const NAME: &str = "db.example";

/// An authority for both sides, and a server that lets in nobody without one of its certificates.
struct Fixture {
    port: u16,
    authority: String,
    /// A client's certificate and key, PEM.
    client: (String, String),
    suites: tokio::sync::mpsc::UnboundedReceiver<CipherSuite>,
}

impl Fixture {
    async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // By the same name as its issuer OpenSSL would take a certificate for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("generates");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("signs");
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("generates");
            let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            (params.signed_by(&key, &issuer).expect("signs").pem(), key.serialize_pem())
        };
        let (authority, (certificate, key)) = (issuer.pem(), issue(NAME));
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(der(&authority)).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("fits")
            .with_client_cert_verifier(verifier.build().expect("fits"))
            .with_single_cert(
                vec![der(&certificate)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("fits");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("is bound").port();
        let (sender, suites) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if let Ok(suite) = serve(&acceptor, socket).await {
                    let _ = sender.send(suite);
                }
            }
        });
        Self { port, authority, client: issue("a client"), suites }
    }

    fn builder(&self, stack: TlsStack, query: &str) -> ConnectorBuilder {
        let url = format!("postgres://jane@{NAME}:{}/app?sslmode=verify-full{query}", self.port);
        Connector::builder(Registry::new())
            .connection_string(url)
            .resolver(resolver_fn(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])])))
            .parameter("sslrootcert", self.authority.as_str())
            .tls_stack(stack)
    }
}

/// Lets a client in that has shown a certificate:
/// <https://www.postgresql.org/docs/current/protocol-flow.html>.
async fn serve(acceptor: &TlsAcceptor, mut socket: TcpStream) -> std::io::Result<CipherSuite> {
    socket.read_exact(&mut [0; 8]).await?;
    socket.write_all(b"S").await?;
    let mut tls = acceptor.accept(socket).await?;
    let length = tls.read_u32().await? as usize;
    tls.read_exact(&mut vec![0; length - 4]).await?;
    tls.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
    tls.flush().await?;
    let suite = tls.get_ref().1.negotiated_cipher_suite().expect("after the handshake").suite();
    // Open until the client has read it.
    drop(tls.read_u8().await);
    Ok(suite)
}

async fn certificate_in_code(stack: TlsStack) {
    let rig = Fixture::start().await;
    let (certificate, key) = rig.client.clone();

    let connector = rig.builder(stack, "").client_certificate(certificate, key).build().expect("builds");

    connector.connect().await.map(drop).expect("is let in");
}

async fn certificate_in_files(stack: TlsStack) {
    let rig = Fixture::start().await;
    let file =
        |end: &str| std::env::temp_dir().join(format!("client-{stack:?}-{}.{end}", std::process::id()));
    fs::write(file("pem"), &rig.client.0).expect("can be written");
    fs::write(file("key"), &rig.client.1).expect("can be written");
    let query = format!("&sslcert={}&sslkey={}", file("pem").display(), file("key").display());

    let connector = rig.builder(stack, &query).build().expect("builds");

    fs::remove_file(file("pem")).expect("can be removed");
    fs::remove_file(file("key")).expect("can be removed");
    connector.connect().await.map(drop).expect("is let in");
}

async fn certificate_missing(stack: TlsStack) {
    let rig = Fixture::start().await;

    let error = rig.builder(stack, "").build().expect("builds").connect().await.map(drop);

    let error = error.expect_err("the server asks for one");
    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Driver | ErrorKind::Tls), "{error:?}");
}

async fn certificate_wrong(stack: TlsStack) {
    let rig = Fixture::start().await;
    let wrong = |certificate: &str, key: &str, says: &str| {
        let built = rig.builder(stack, "").client_certificate(certificate, key).build();
        let error = built.expect_err("does not fit");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    };
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    wrong(&rig.client.0, secret, "client certificate (`sslcert`, `sslkey`) cannot be used");
    wrong(&rig.client.0, "", "`sslkey` does not contain a PEM private key");
    let error = rig.builder(stack, "&sslcert=/no/such").build().expect_err("half of it");
    assert!(error.to_string().contains("add `sslkey`"), "{error}");
    let error = rig.builder(stack, "&sslcert=/no/such&sslkey=/no/such").build().expect_err("no file");
    assert!(error.to_string().contains("cannot read `/no/such` of `sslcert`"), "{error}");
}

macro_rules! either_stack {
    ($($test:ident => $case:ident;)*) => {
        mod native_tls {
            use super::*;
            $(#[tokio::test] async fn $test() { $case(TlsStack::NativeTls).await; })*
        }
        mod rustls {
            use super::*;
            $(#[tokio::test] async fn $test() { $case(TlsStack::Rustls).await; })*
        }
    };
}

either_stack! {
    client_certificate_in_code_ok => certificate_in_code;
    client_certificate_in_files_ok => certificate_in_files;
    client_certificate_missing => certificate_missing;
    client_certificate_wrong => certificate_wrong;
}

#[tokio::test]
async fn cryptography_of_ones_own_is_used_without_danger() {
    let mut rig = Fixture::start().await;
    let (certificate, key) = rig.client.clone();
    let mut provider = aws_lc_rs::default_provider();
    let only = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites.retain(|suite| suite.suite() == only);

    let builder = rig.builder(TlsStack::NativeTls, "").client_certificate(certificate, key);
    let connector = builder.rustls_provider(Arc::new(provider)).build().expect("builds");
    drop(connector.connect().await.expect("is let in"));

    assert_eq!(rig.suites.recv().await, Some(only));
    let stranger = Fixture::start().await;
    let other = rig.builder(TlsStack::Rustls, "").parameter("sslrootcert", stranger.authority.as_str());
    let error = other.build().expect("builds").connect().await.map(drop).expect_err("roots still count");
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
}
