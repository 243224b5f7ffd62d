//! The signature of a presigned request, recomputed.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::token::Token;
use crate::hash::{equal, hex, hmac_sha256, sha256};
use crate::refusal::{Refusal, RefusalDetail};

/// Checks the signature in constant time. The host is signed in lower case, with its port where the
/// token names one.
pub(super) fn check(token: &Token, secret: &str) -> Result<(), RefusalDetail> {
    let expected = signature(token, secret);
    let given = token.value("X-Amz-Signature").unwrap_or_default();
    if equal(expected.as_bytes(), given.as_bytes()) {
        return Ok(());
    }
    Err(RefusalDetail::new(Refusal::Signature, format!("{} characters", given.len())))
}

fn signature(token: &Token, secret: &str) -> String {
    let port = if token.port().is_empty() { String::new() } else { format!(":{}", token.port()) };
    // Method, path, query, headers, the list of signed headers, and the hash of an empty body.
    let request = format!(
        "GET\n/\n{}\nhost:{}{port}\n\nhost\n{}",
        canonical_query(token),
        token.host().to_ascii_lowercase(),
        hex(&sha256(b""))
    );
    let scope = [token.day(), token.region(), token.service(), "aws4_request"];
    let date = token.value("X-Amz-Date").unwrap_or_default();
    sign(secret, scope, date, request.as_bytes())
}

/// Signs a canonical request, in hexadecimal.
pub(crate) fn sign(secret: &str, scope: [&str; 4], date: &str, request: &[u8]) -> String {
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", scope.join("/"), hex(&sha256(request)));
    // The key is derived by one HMAC each of date, region, service and terminator.
    let key = scope
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()).to_vec());
    hex(&hmac_sha256(&key, to_sign.as_bytes()))
}

fn canonical_query(token: &Token) -> String {
    let mut pairs = token
        .parameters()
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect::<Vec<_>>();
    // SigV4 sorts by the encoded name and, for equal names, value.
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// RFC 3986: all but the unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}
