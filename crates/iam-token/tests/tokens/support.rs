//! Fixed credentials and times, and a verifier that rebuilds the canonical request from the token's
//! own text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};

pub(crate) const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const SESSION: &str = "FwoGZXIvYXdzEBYaDHexample/+==";

/// 2025-01-15T12:34:56Z.
pub(crate) fn now() -> SystemTime {
    at(1_736_944_496)
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "tests")
}

pub(crate) fn session_credentials(expiry: Option<SystemTime>) -> Credentials {
    Credentials::new("ASIAIOSFODNN7EXAMPLE", SECRET, Some(SESSION.to_owned()), expiry, "tests")
}

/// A token taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    /// The text before the query.
    pub(crate) target: String,
    /// The raw parameters, sorted.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Parts {
    pub(crate) fn of(token: &str) -> Self {
        let (target, query) = token.split_once('?').expect("a query");
        let mut parameters: Vec<_> = query
            .split('&')
            .map(|pair| pair.split_once('=').expect("a value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        parameters.sort_unstable();
        Self { target: target.to_owned(), parameters }
    }

    /// Returns the only value of that name, decoded.
    pub(crate) fn decoded(&self, name: &str) -> Option<String> {
        let mut values = self.parameters.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| decode(value));
        assert!(values.next().is_none(), "{name} stands once");
        value
    }

    /// Recomputes the signature of a token without scheme and with no signed header but `host`.
    pub(crate) fn recomputed_signature(&self, secret: &str, time: SystemTime) -> String {
        let scope = self.decoded("X-Amz-Credential").expect("a credential");
        let scope: Vec<&str> = scope.rsplitn(5, '/').collect();
        let [terminator, service, region, date, _access_key_id] = scope[..] else { panic!("five parts") };
        let signed = self.parameters.iter().filter(|(name, _)| name != "X-Amz-Signature");
        let query = signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let (host, path) = self.target.split_once('/').expect("a path");
        let empty = hex(&Sha256::digest(""));
        let request = format!("GET\n/{path}\n{query}\nhost:{host}\n\nhost\n{empty}");
        let date_time = self.decoded("X-Amz-Date").expect("a date");
        let string_to_sign = format!(
            "AWS4-HMAC-SHA256\n{date_time}\n{date}/{region}/{service}/{terminator}\n{}",
            hex(&Sha256::digest(request))
        );
        let key = generate_signing_key(secret, time, region, service);
        calculate_signature(key, string_to_sign.as_bytes())
    }
}

pub(crate) fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                assert!(!digits.iter().any(u8::is_ascii_lowercase), "upper-case digits in {value}");
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                tail
            }
            _ => {
                assert!(
                    first.is_ascii_alphanumeric() || b"-._~".contains(first),
                    "reserved character in {value}"
                );
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
