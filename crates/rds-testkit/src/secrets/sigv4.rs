//! The signature in a request's headers, recomputed.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use super::http::Request;
use crate::hash::{equal, hex, sha256};
use crate::token_policy::sign;

/// The parts of an `Authorization` header, trusted or not.
pub(super) struct Signed<'a> {
    pub(super) access_key_id: &'a str,
    scope: [&'a str; 4],
    headers: &'a str,
    signature: &'a str,
    pub(super) date: &'a str,
}

impl<'a> Signed<'a> {
    /// Parses a request's signature; `None` if it is missing or malformed.
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let parts = request.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let part =
            |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        let mut credential = part("Credential")?.split('/');
        let access_key_id = credential.next()?;
        let scope = [credential.next()?, credential.next()?, credential.next()?, credential.next()?];
        Some(Self {
            access_key_id,
            scope,
            headers: part("SignedHeaders")?,
            signature: part("Signature")?,
            date: request.header("x-amz-date")?,
        })
    }

    /// Returns the region and the service that the request was signed for.
    pub(super) fn region_and_service(&self) -> (&str, &str) {
        (self.scope[1], self.scope[2])
    }

    /// Verifies the signature and the headers that it must cover.
    pub(super) fn is_valid(&self, request: &Request, secret: &str) -> bool {
        let names = self.headers.split(';').collect::<Vec<_>>();
        // A header that is present but not signed could be changed on the way.
        let covers = |name: &str| request.header(name).is_none() || names.contains(&name);
        let is_sorted = names.is_sorted();
        let is_scope = self.date.starts_with(self.scope[0]) && self.scope[3] == "aws4_request";
        let must = ["host", "x-amz-date", "x-amz-target", "x-amz-security-token"];
        if !is_scope || !is_sorted || !must.iter().all(|name| covers(name)) {
            return false;
        }
        let mut headers = String::new();
        for name in &names {
            let Some(value) = request.header(name) else { return false };
            headers.push_str(&format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            request.method,
            request.path,
            request.query,
            self.headers,
            hex(&sha256(&request.body))
        );
        let expected = sign(secret, self.scope, self.date, canonical.as_bytes());
        equal(expected.as_bytes(), self.signature.as_bytes())
    }
}
