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

/// As many names as people read: a certificate may have hundreds.
const SHOWN: usize = 3;

/// A chain that ends within this time is warned of.
const NEAR: Duration = Duration::from_secs(60 * 24 * 60 * 60);

const DAY: u64 = 24 * 60 * 60;

/// The parts that people ask about.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) names: Vec<String>,
    /// Who issued it, and who those whose certificates the server sent along.
    issuers: Vec<String>,
    /// When the first of the certificates ends, and whose it is unless the server's own.
    end: (SystemTime, Option<String>),
}

impl Described {
    /// Reads a server's certificates, its own first; none if that is malformed.
    pub(super) fn read(certificates: &[CertificateDer<'_>]) -> Option<Self> {
        let mut chain = certificates.iter().map_while(|certificate| Certificate::from_der(certificate).ok());
        let certificate = chain.next()?.tbs_certificate;
        let mut end = (certificate.validity.not_after.to_system_time(), None);
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(dns_name).collect(),
            _ => Vec::new(),
        };
        let mut issuers = vec![printable(&certificate.issuer.to_string())];
        for authority in chain {
            let authority = authority.tbs_certificate;
            issuers.push(printable(&authority.issuer.to_string()));
            let not_after = authority.validity.not_after.to_system_time();
            if not_after < end.0 {
                end = (not_after, Some(printable(&authority.subject.to_string())));
            }
        }
        // A root has issued itself.
        issuers.dedup();
        Some(Self { names, issuers, end })
    }

    /// Returns whether an authority of RDS issued it:
    /// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>.
    pub(super) fn is_of_rds(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.contains("Amazon RDS"))
    }

    /// Returns what to do about a chain that ends soon.
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        let left = self.end.0.duration_since(now).unwrap_or_default();
        if left >= NEAR {
            return None;
        }
        let whose = match &self.end.1 {
            Some(authority) => format!("the certificate of {authority}"),
            None => "the server's certificate".to_owned(),
        };
        let days = left.as_secs() / DAY;
        Some(format!(
            "{whose} ends in {days} days, and no verified login works from then on: rotate it (RDS: modify \
             the instance's certificate authority), and see that the trusted roots hold the new one's"
        ))
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = if self.names.is_empty() { "no DNS name".to_owned() } else { listed(&self.names, SHOWN) };
        write!(f, "certificate for {names}, issued by ")?;
        write!(f, "{}", self.issuers[..self.issuers.len().min(SHOWN)].join(", itself by "))?;
        if let Some(more) = self.issuers.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        let (end, whose) = &self.end;
        match whose {
            Some(authority) => write!(f, ", until {authority} ends {}", timestamp(*end)),
            None => write!(f, ", until {}", timestamp(*end)),
        }
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
    wrapper_core::text::sanitize_server_text(text, None)
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
    fn long_lists_are_cut_with_a_count() {
        let described = Described {
            names: (0..900).map(|number| format!("db{number}.example")).collect(),
            issuers: (0..5).map(|number| format!("CN={number}")).collect(),
            end: (SystemTime::UNIX_EPOCH, Some("CN=3".to_owned())),
        };

        assert_eq!(
            described.to_string(),
            "certificate for db0.example, db1.example, db2.example and 897 more, issued by CN=0, itself by \
             CN=1, itself by CN=2 and 2 more, until CN=3 ends 1970-01-01T00:00:00Z"
        );
    }

    #[test]
    fn chain_that_ends_soon_is_warned_of() {
        let end = SystemTime::UNIX_EPOCH + 100 * Duration::from_secs(DAY);
        let warning = |days: u32, whose: Option<&str>| {
            let described =
                Described { names: Vec::new(), issuers: Vec::new(), end: (end, whose.map(str::to_owned)) };
            described.warning(end - days * Duration::from_secs(DAY))
        };

        assert_eq!(warning(60, None), None);
        let own = warning(59, None).expect("ends soon");
        assert!(own.starts_with("the server's certificate ends in 59 days"), "{own}");
        let authority = warning(0, Some("CN=a")).expect("ends soon");
        assert!(authority.starts_with("the certificate of CN=a ends in 0 days"), "{authority}");
    }

    #[test]
    fn malformed_certificate_is_none() {
        assert!(Described::read(&[]).is_none());
        assert!(Described::read(&[CertificateDer::from(vec![0x30, 0x03])]).is_none());
    }
}
