//! A parsed token, not yet verified.

use std::time::{Duration, SystemTime};

use super::timestamp;
use crate::refusal::{Refusal, RefusalDetail};

const MAX_LIFETIME_SECONDS: u64 = 900;

/// A well-formed presigned query; its signature is not verified yet.
pub(super) struct Token {
    host: String,
    port: String,
    parameters: Vec<(String, String)>,
    access_key_id: String,
    day: String,
    region: String,
    service: String,
    signed_at: SystemTime,
    lifetime: Duration,
}

impl Token {
    /// Parses a token: `HOST:PORT/?` and percent-encoded parameters, in any order, none twice.
    pub(super) fn parse(password: &[u8]) -> Result<Self, RefusalDetail> {
        if password.is_empty() {
            return Err(malformed("empty"));
        }
        if !password.iter().all(u8::is_ascii_graphic) {
            return Err(malformed("a blank, control or non-ASCII character"));
        }
        let text = std::str::from_utf8(password).map_err(|_| malformed("not text"))?;
        let (token_policy, query) = text.split_once("/?").ok_or_else(|| malformed("no query"))?;
        if token_policy.contains(['/', '@', '?', '#']) || query.contains('#') {
            return Err(malformed("more than host, port and query, such as a scheme"));
        }
        let (host, port) = token_policy.rsplit_once(':').unwrap_or((token_policy, ""));
        let parameters = split(query)?;
        let required =
            |name| find(&parameters, name).ok_or_else(|| malformed(format!("no parameter {name:?}")));
        exactly(required("X-Amz-Algorithm")?, "AWS4-HMAC-SHA256")?;
        exactly(required("X-Amz-SignedHeaders")?, "host")?;
        required("X-Amz-Signature")?;
        let credential = required("X-Amz-Credential")?.split('/').collect::<Vec<_>>();
        let [access_key_id, day, region, service, "aws4_request"] = credential[..] else {
            return Err(malformed("a credential scope of another form"));
        };
        let date = required("X-Amz-Date")?;
        let signed_at = timestamp::parse(date).ok_or_else(|| malformed(format!("date {date:?}")))?;
        // The key is derived from the day of the scope, so both must agree.
        if !date.starts_with(day) || day.len() != 8 {
            return Err(malformed(format!("date {date:?} on the day {day:?}")));
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.to_owned(),
            access_key_id: access_key_id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_at,
            lifetime: lifetime(required("X-Amz-Expires")?)?,
            parameters,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> &str {
        &self.port
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn day(&self) -> &str {
        &self.day
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        self.signed_at + self.lifetime
    }

    /// Returns the decoded value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn split(query: &str) -> Result<Vec<(String, String)>, RefusalDetail> {
    let mut parameters = Vec::<(String, String)>::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if find(&parameters, &name).is_some() {
            return Err(malformed(format!("parameter {name:?} twice")));
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// Decodes percent-encoding. A raw `+` is invalid: it would be a blank in a form and a plus in a
/// URI, and AWS encodes both.
fn decode(text: &str) -> Result<String, RefusalDetail> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => return Err(malformed("a raw plus sign")),
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                // Two hexadecimal digits make at most 255.
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err(malformed("a percent sign without two digits")),
            },
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| malformed("a value that is not UTF-8"))
}

fn find<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn exactly(found: &str, expected: &str) -> Result<(), RefusalDetail> {
    if found == expected { Ok(()) } else { Err(malformed(format!("{found:?} in place of {expected:?}"))) }
}

fn lifetime(text: &str) -> Result<Duration, RefusalDetail> {
    // `u64` would also parse a leading plus sign.
    let seconds = text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match seconds {
        Some(seconds @ 1..=MAX_LIFETIME_SECONDS) => Ok(Duration::from_secs(seconds)),
        None | Some(0) => Err(malformed(format!("lifetime {text:?}"))),
        Some(seconds) => Err(RefusalDetail::new(Refusal::LifetimeTooLong, format!("{seconds} s"))),
    }
}

fn malformed(detail: impl Into<String>) -> RefusalDetail {
    RefusalDetail::new(Refusal::NotAToken, detail)
}
