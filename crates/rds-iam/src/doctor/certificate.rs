//! What stands in a server's certificate.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::token::timestamp;

/// The parts that people ask about.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) names: Vec<String>,
    /// Who issued it, and who those whose certificates the server sent along.
    issuers: Vec<String>,
    not_after: SystemTime,
}

impl Described {
    /// Reads a server's certificates, its own first; none if that is malformed.
    pub(super) fn read(certificates: &[CertificateDer<'_>]) -> Option<Self> {
        let mut chain = certificates.iter().map_while(|certificate| Certificate::from_der(certificate).ok());
        let certificate = chain.next()?.tbs_certificate;
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(dns_name).collect(),
            _ => Vec::new(),
        };
        let mut issuers = vec![printable(&certificate.issuer.to_string())];
        issuers.extend(chain.map(|authority| printable(&authority.tbs_certificate.issuer.to_string())));
        // A root has issued itself.
        issuers.dedup();
        Some(Self { names, issuers, not_after: certificate.validity.not_after.to_system_time() })
    }

    /// Whether an authority of RDS issued it: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
    pub(super) fn is_of_rds(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.contains("Amazon RDS"))
    }
}

impl std::fmt::Display for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = if self.names.is_empty() { "no dns name".to_owned() } else { self.names.join(", ") };
        let issuers = self.issuers.join(", itself by ");
        write!(f, "certificate for {names}, issued by {issuers}, until {}", timestamp(self.not_after))
    }
}

fn dns_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(printable(name.as_str())),
        _ => None,
    }
}

/// The server is not trusted yet, so its text is not either.
fn printable(text: &str) -> String {
    wrapper_core::sanitize_server_text(text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_is_told_up_to_its_root() {
        let issuers = ["CN=Amazon RDS us-east-2 Subordinate CA", "CN=Amazon RDS us-east-2 Root CA"];
        let described = Described {
            names: vec!["db.example".to_owned()],
            issuers: issuers.map(str::to_owned).to_vec(),
            not_after: SystemTime::UNIX_EPOCH,
        };

        assert_eq!(
            described.to_string(),
            "certificate for db.example, issued by CN=Amazon RDS us-east-2 Subordinate CA, itself by \
             CN=Amazon RDS us-east-2 Root CA, until 1970-01-01T00:00:00Z"
        );
        assert!(described.is_of_rds());
    }

    #[test]
    fn malformed_certificate_is_none() {
        assert!(Described::read(&[]).is_none());
        assert!(Described::read(&[CertificateDer::from(vec![0x30, 0x03])]).is_none());
    }
}
