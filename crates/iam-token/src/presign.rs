//! SigV4 query presigning, the basis of every recipe.

mod builder;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::calculate_signature;
use sha2::{Digest, Sha256};

pub use self::builder::PresignBuilder;
use crate::{
    AuthToken, Error, Signer, encode::hex, region::MAX_SCOPE_PART, signing_time::SigningTime,
    zeroizing_string::ZeroizingString,
};

const ALGORITHM_LINE: &str = "AWS4-HMAC-SHA256\n";
const ALGORITHM_AND_CREDENTIAL: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=";
const DATE: &str = "&X-Amz-Date=";
const SIGNATURE: &str = "&X-Amz-Signature=";
const DATE_LEN: usize = 8;
const DATE_TIME_LEN: usize = 16;
const SIGNATURE_LEN: usize = 64;

/// A GET request that is signed in its query, ready to be signed any number of times.
///
/// This is what [`rds`](crate::rds()) and its siblings build, and the way to services that they do
/// not cover. The payload is empty. The order of the parameters is botocore's: the request's own,
/// then `X-Amz-Algorithm`, `-Credential`, `-Date`, `-Expires`, `-SignedHeaders`, `-Security-Token`
/// with session credentials, `-Signature`.
///
/// Source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use aws_credential_types::Credentials;
/// use iam_token::Presign;
///
/// # let credentials = Credentials::new("AKIAEXAMPLE", "secret", None, None, "docs");
/// # let now = UNIX_EPOCH + Duration::from_secs(1_736_944_496);
/// let url = Presign::https("sts.us-west-2.amazonaws.com")
///     .query("Action", "GetCallerIdentity")
///     .query("Version", "2011-06-15")
///     .service("sts")
///     .region("us-west-2")
///     .lifetime(Duration::from_secs(60))
///     .build()?
///     .sign(&credentials, now)?;
/// let start = "https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&Version=";
/// assert!(url.expose().starts_with(start));
/// # Ok::<(), iam_token::Error>(())
/// ```
#[derive(Clone)]
pub struct Presign {
    service: String,
    region: String,
    lifetime: Duration,
    /// `/us-east-2/rds-db/aws4_request` and the end of its line in the string to sign.
    scope_line: String,
    /// The token up to the access key id.
    lead: String,
    /// From behind the day to the time: `%2Fus-east-2%2Frds-db%2Faws4_request&X-Amz-Date=`.
    scope_to_time: String,
    /// `&X-Amz-Expires=900`.
    expires: String,
    /// `&X-Amz-SignedHeaders=host`.
    signed_headers: String,
    /// The token behind its signature.
    unsigned: String,
    /// The prefix of the base64url form of the token, where it has that form.
    base64url: Option<String>,
    /// The hash of the canonical request so far: up to the access key id, which is the first thing
    /// that varies.
    canonical_prefix: Sha256,
    /// The canonical request from `X-Amz-SignedHeaders` on.
    canonical_suffix: String,
}

impl Presign {
    /// Starts a request to `https://host`.
    pub fn https(host: &str) -> PresignBuilder {
        PresignBuilder::new("https://", host)
    }

    /// Starts a request to `http://host`. The scheme is text only: it is not signed, and no request
    /// is sent.
    pub fn http(host: &str) -> PresignBuilder {
        PresignBuilder::new("http://", host)
    }

    /// Signs at `now`, cut to its second, with a key derived for this one signature.
    ///
    /// # Errors
    ///
    /// As [`sign_with`](Self::sign_with).
    pub fn sign(&self, credentials: &Credentials, now: SystemTime) -> Result<AuthToken, Error> {
        self.sign_with(&Signer::new(credentials.clone()), now)
    }

    /// Signs at `now`, truncated to the second, with a cached signing key.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`](crate::ErrorKind::InvalidCredentials) for an empty access key id or
    /// secret key, and for blanks, quotes or control characters in them or in the session token,
    /// [`ExpiredCredentials`](crate::ErrorKind::ExpiredCredentials) for credentials that have
    /// expired at `now`, [`InvalidTime`](crate::ErrorKind::InvalidTime) for a time before 1970 or
    /// after 9999.
    pub fn sign_with(&self, signer: &Signer, now: SystemTime) -> Result<AuthToken, Error> {
        let time = SigningTime::new(now)?;
        let date_time = time.date_time();
        let date = &date_time[..DATE_LEN];
        signer.check(now)?;
        let session = signer.session_parameter();

        // Sized once: a string that grows leaves copies of the token in freed memory.
        let mut text = ZeroizingString::with_capacity(self.token_len(signer));
        text.push_str(&self.lead);
        text.push_str(signer.encoded_access_key_id());
        text.push_str(date);
        text.push_str(&self.scope_to_time);
        text.push_str(date_time);
        text.push_str(&self.expires);

        // The canonical query is sorted, so there the session token precedes the signed headers.
        let canonical_request = self
            .canonical_prefix
            .clone()
            // From the access key id to the lifetime, token and canonical query are the same text.
            .chain_update(&text[self.lead.len()..])
            .chain_update(session)
            .chain_update(&self.canonical_suffix)
            .finalize();

        let mut string_to_sign = StringToSign::new();
        // The string to sign of SigV4: algorithm, time, scope and hash, one on each line.
        string_to_sign.push(date_time.as_bytes());
        string_to_sign.push(b"\n");
        string_to_sign.push(date.as_bytes());
        string_to_sign.push(self.scope_line.as_bytes());
        string_to_sign.push(&hex(&canonical_request.into()));

        let key = signer.key(&time, &self.region, &self.service);
        let signature = ZeroizingString::from(calculate_signature(key.as_slice(), string_to_sign.as_bytes()));

        text.push_str(&self.signed_headers);
        text.push_str(session);
        text.push_str(SIGNATURE);
        text.push_str(&signature);
        text.push_str(&self.unsigned);

        // AWS counts from `X-Amz-Date`, so from the cut second and not from `now`.
        let left = |expiry: SystemTime| expiry.duration_since(time.system_time()).unwrap_or_default();
        let life = signer.expiry().map_or(self.lifetime, |expiry| self.lifetime.min(left(expiry)));
        let token = AuthToken::new(text, signer.shared_access_key_id(), &time, life);
        Ok(match &self.base64url {
            Some(prefix) => token.into_base64url(prefix),
            None => token,
        })
    }

    fn token_len(&self, signer: &Signer) -> usize {
        self.lead.len()
            + signer.encoded_access_key_id().len()
            + DATE_LEN
            + self.scope_to_time.len()
            + DATE_TIME_LEN
            + self.expires.len()
            + self.signed_headers.len()
            + signer.session_parameter().len()
            + SIGNATURE.len()
            + SIGNATURE_LEN
            + self.unsigned.len()
    }
}

impl fmt::Debug for Presign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presign")
            .field("service", &self.service)
            .field("region", &self.region)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// The string to sign, kept off the heap.
struct StringToSign {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl StringToSign {
    /// Algorithm, time, date, region, service, terminator and hash, with the bytes between them.
    /// `build` bounds region and service.
    // 17: time and line end; 9: date and slash; 14: `/aws4_request` and line end; 64: the hash.
    const CAPACITY: usize = ALGORITHM_LINE.len() + 17 + 9 + (MAX_SCOPE_PART + 1) + MAX_SCOPE_PART + 14 + 64;

    fn new() -> Self {
        let mut new = Self { bytes: [0; Self::CAPACITY], len: 0 };
        new.push(ALGORITHM_LINE.as_bytes());
        new
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        self.bytes[self.len..end].copy_from_slice(part);
        self.len = end;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests;
