//! The contents of a server's certificate.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{terminal::listed, token::timestamp};

/// How many names are shown: a certificate may have hundreds.
const SHOWN: usize = 3;

/// A chain that expires within this time is a warning.
const NEAR: Duration = Duration::from_secs(60 * 24 * 60 * 60);

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
const TWO_DAYS: u64 = 2 * DAY;

/// Names, issuers and end of a certificate chain.
#[derive(Debug)]
pub(super) struct CertificateSummary {
    pub(super) names: Vec<String>,
    /// The issuers of the certificate and of the intermediates that the server sent.
    issuers: Vec<String>,
    /// The earliest end, with the subject unless it is the server's own certificate.
    end: (SystemTime, Option<String>),
}

impl CertificateSummary {
    /// Reads a server's certificates, its own first; `None` if that one is malformed.
    pub(super) fn read(certificates: &[CertificateDer<'_>]) -> Option<Self> {
        let mut chain = certificates.iter().map_while(|certificate| Certificate::from_der(certificate).ok());
        let certificate = chain.next()?.tbs_certificate;
        let mut end = (certificate.validity.not_after.to_system_time(), None);
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(dns_name).collect(),
            _ => Vec::new(),
        };
        let mut issuers = vec![sanitized(&certificate.issuer.to_string())];
        for authority in chain {
            let authority = authority.tbs_certificate;
            issuers.push(sanitized(&authority.issuer.to_string()));
            let not_after = authority.validity.not_after.to_system_time();
            // A chain is valid only as long as each of its certificates.
            if not_after < end.0 {
                end = (not_after, Some(sanitized(&authority.subject.to_string())));
            }
        }
        // A root is its own issuer.
        issuers.dedup();
        Some(Self { names, issuers, end })
    }

    /// Returns whether an authority of RDS issued it:
    /// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
    pub(super) fn is_of_rds(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.contains("Amazon RDS"))
    }

    /// Returns the remedy for a chain that expires soon.
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        let left = self.end.0.duration_since(now).unwrap_or_default();
        if left >= NEAR {
            return None;
        }
        let whose = match &self.end.1 {
            Some(authority) => format!("the certificate of {authority}"),
            None => "the server's certificate".to_owned(),
        };
        let left = match left.as_secs() {
            0..HOUR => "within an hour".to_owned(),
            seconds @ HOUR..TWO_DAYS => format!("in {} hours", seconds / HOUR),
            seconds => format!("in {} days", seconds / DAY),
        };
        Some(format!(
            "{whose} expires {left}, and every verified login fails from then on: rotate it (RDS: \
             modify the instance's certificate authority), and add the new issuer to the trusted roots"
        ))
    }
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_empty() { "no DNS name".to_owned() } else { listed(&self.names, SHOWN) };
        write!(f, "certificate for {names}, issued by ")?;
        write!(f, "{}", self.issuers[..self.issuers.len().min(SHOWN)].join(", itself by "))?;
        if let Some(more) = self.issuers.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        let (end, whose) = &self.end;
        match whose {
            Some(authority) => write!(f, ", until {authority} expires {}", timestamp(*end)),
            None => write!(f, ", until {}", timestamp(*end)),
        }
    }
}

fn dns_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(sanitized(name.as_str())),
        _ => None,
    }
}

/// Sanitizes a text of the certificate, which comes from a server that is not trusted yet.
fn sanitized(text: &str) -> String {
    wrapper_core::text::sanitize_server_text(text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_chain_is_listed_up_to_its_root() {
        let issuers = ["CN=Amazon RDS us-east-2 Subordinate CA", "CN=Amazon RDS us-east-2 Root CA"];
        let described = CertificateSummary {
            names: vec!["db.example".to_owned()],
            issuers: issuers.map(str::to_owned).to_vec(),
            end: (SystemTime::UNIX_EPOCH, None),
        };

        assert_eq!(
            described.to_string(),
            "certificate for db.example, issued by CN=Amazon RDS us-east-2 Subordinate CA, itself by \
             CN=Amazon RDS us-east-2 Root CA, until 1970-01-01T00:00:00Z"
        );
        assert!(described.is_of_rds());
    }

    #[test]
    fn long_lists_are_truncated_with_a_count() {
        let described = CertificateSummary {
            names: (0..900).map(|number| format!("db{number}.example")).collect(),
            issuers: (0..5).map(|number| format!("CN={number}")).collect(),
            end: (SystemTime::UNIX_EPOCH, Some("CN=3".to_owned())),
        };

        assert_eq!(
            described.to_string(),
            "certificate for db0.example, db1.example, db2.example and 897 more, issued by CN=0, itself by \
             CN=1, itself by CN=2 and 2 more, until CN=3 expires 1970-01-01T00:00:00Z"
        );
    }

    #[test]
    fn chain_near_its_expiry_causes_a_warning() {
        let end = SystemTime::UNIX_EPOCH + 100 * Duration::from_secs(DAY);
        let warning = |days: u32, whose: Option<&str>| {
            let described = CertificateSummary {
                names: Vec::new(),
                issuers: Vec::new(),
                end: (end, whose.map(str::to_owned)),
            };
            described.warning(end - days * Duration::from_secs(DAY))
        };

        assert_eq!(warning(60, None), None);
        let own = warning(59, None).expect("ends soon");
        assert!(own.starts_with("the server's certificate expires in 59 days"), "{own}");
        for (days, left) in [(2, "in 2 days"), (1, "in 24 hours"), (0, "within an hour")] {
            let authority = warning(days, Some("CN=a")).expect("ends soon");
            assert!(
                authority.starts_with(&format!("the certificate of CN=a expires {left},")),
                "{authority}"
            );
        }
    }

    #[test]
    fn malformed_certificate_has_no_summary() {
        assert!(CertificateSummary::read(&[]).is_none());
        assert!(CertificateSummary::read(&[CertificateDer::from(vec![0x30, 0x03])]).is_none());
    }
}
