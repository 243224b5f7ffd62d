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
    pub(super) issuer: String,
    pub(super) not_after: SystemTime,
}

impl Described {
    /// Reads a certificate; none if it is malformed.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?.tbs_certificate;
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(dns_name).collect(),
            _ => Vec::new(),
        };
        Some(Self {
            names,
            issuer: printable(&certificate.issuer.to_string()),
            not_after: certificate.validity.not_after.to_system_time(),
        })
    }

    /// Whether an authority of RDS issued it: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
    pub(super) fn is_of_rds(&self) -> bool {
        self.issuer.contains("Amazon RDS")
    }
}

impl std::fmt::Display for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = if self.names.is_empty() { "no dns name".to_owned() } else { self.names.join(", ") };
        write!(f, "certificate for {names}, issued by {}, until {}", self.issuer, timestamp(self.not_after))
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
    wrapper_core::printable(text, None)
}
