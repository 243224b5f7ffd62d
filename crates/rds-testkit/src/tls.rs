//! A certificate authority for the run and the certificates it issues.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock;
use crate::error::{Error, Result};

const DAY: Duration = Duration::from_secs(86_400);

/// The default validity of certificates.
const LIFE: Duration = Duration::from_secs(30 * 86_400);

/// The ALPN protocol that PostgreSQL 17 requires for TLS without a prior request.
pub(crate) const POSTGRESQL_ALPN: &[u8] = b"postgresql";

/// A certificate authority of its own, made in memory.
///
/// Clones are handles to the same authority.
#[derive(Clone)]
pub struct CertificateAuthority(Arc<Authority>);

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
    life: Duration,
}

impl CertificateAuthority {
    /// Creates an authority with a new key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Certificate`](crate::ErrorKind::Certificate) if the key or certificate cannot
    /// be made.
    pub fn generate() -> Result<Self> {
        Self::generate_for(LIFE)
    }

    /// Creates an authority with a new key and this validity, which also limits all certificates
    /// that it issues.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Certificate`](crate::ErrorKind::Certificate) if the key or certificate cannot
    /// be made.
    pub fn generate_for(life: Duration) -> Result<Self> {
        Self::try_generate(life)
            .map_err(|error| Error::certificate("no certificate authority could be made", error))
    }

    /// Returns the authority's certificate, for a client to trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0.pem
    }

    fn try_generate(life: Duration) -> std::result::Result<Self, rcgen::Error> {
        let mut params = params(Vec::new(), "rds-testkit CA", Validity::Current, life)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pem = issuer.pem();
        Ok(Self(Arc::new(Authority { issuer, pem, life })))
    }

    /// Creates a TLS configuration with a new certificate for `names`.
    pub(crate) fn server_config(&self, names: &[String], validity: Validity) -> Result<Arc<ServerConfig>> {
        self.try_server_config(names, validity)
            .map(Arc::new)
            .map_err(|error| Error::certificate(format!("no certificate can be made for {names:?}"), error))
    }

    fn try_server_config(
        &self,
        names: &[String],
        validity: Validity,
    ) -> std::result::Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
        let key = KeyPair::generate()?;
        let mut params = params(names.to_vec(), "rds-testkit", validity, self.0.life)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.0.issuer)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![POSTGRESQL_ALPN.to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").finish_non_exhaustive()
    }
}

/// The validity of a certificate, by the machine's clock, since clients do not use the server's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Validity {
    Current,
    Expired,
}

fn params(
    names: Vec<String>,
    common_name: &str,
    validity: Validity,
    life: Duration,
) -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let since = clock::system().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + since;
    // Before the end of an expired certificate, which is one day ago.
    params.not_before = now - 2 * DAY;
    params.not_after = match validity {
        Validity::Current => now + life,
        Validity::Expired => now - DAY,
    };
    Ok(params)
}
