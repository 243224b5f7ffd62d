//! Credentials, with everything that can be computed once for all their tokens.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_runtime_api::client::identity::Identity;
use zeroize::Zeroizing;

use crate::{
    Error, ErrorKind,
    encode::{percent_encoded, push_percent_encoded},
    signing_time::SigningTime,
    zeroizing_string::ZeroizingString,
};

/// Enough for two days in eight pairs of region and service.
const KEPT_KEYS: usize = 16;

/// A SigV4 signing key. [`Zeroizing`] overwrites this copy; copies on the stack of `aws-sigv4` are
/// out of reach.
pub(crate) type SigningKey = Zeroizing<[u8; 32]>;

/// Credentials that sign many tokens.
///
/// It keeps the encoded session token and up to 16 derived signing keys, one per day, region and
/// service; the oldest is evicted first. With a request built once, a token costs less than half of
/// one whose key is derived each time. Share it behind an [`Arc`].
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use aws_credential_types::Credentials;
/// use iam_token::{Signer, rds};
///
/// # let credentials = Credentials::new("AKIAEXAMPLE", "secret", None, None, "docs");
/// # let now = UNIX_EPOCH + Duration::from_secs(1_736_944_496);
/// let signer = Signer::new(credentials);
/// let jane = rds("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").region("us-east-2").build()?;
/// let token = jane.sign_with(&signer, now)?;
/// assert_eq!(token.access_key_id(), signer.access_key_id());
/// # Ok::<(), iam_token::Error>(())
/// ```
pub struct Signer {
    credentials: Credentials,
    expiry: Option<SystemTime>,
    /// Why the credentials cannot sign, checked once.
    fault: Option<Error>,
    access_key_id: Arc<str>,
    /// With the encoded slash behind it.
    encoded_access_key_id: String,
    session: ZeroizingString,
    keys: Mutex<VecDeque<KeptKey>>,
}

struct KeptKey {
    day: u64,
    region: Box<str>,
    service: Box<str>,
    key: SigningKey,
}

impl Signer {
    /// Creates a signer from credentials. An empty session token counts as none.
    pub fn new(credentials: Credentials) -> Self {
        let session = match credentials.session_token() {
            None | Some("") => ZeroizingString::with_capacity(0),
            Some(token) => session_parameter(token),
        };
        Self {
            expiry: credentials.expiry(),
            fault: fault(&credentials),
            access_key_id: credentials.access_key_id().into(),
            encoded_access_key_id: percent_encoded(credentials.access_key_id()) + "%2F",
            session,
            keys: Mutex::default(),
            credentials,
        }
    }

    /// Creates a signer from the identity that an AWS SDK resolved. It expires with the identity or
    /// the credentials, whichever is first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidCredentials`] when the identity is not a pair of AWS credentials, as
    /// with a bearer token.
    pub fn from_identity(identity: &Identity) -> Result<Self, Error> {
        let Some(credentials) = identity.data::<Credentials>() else {
            let message = "identity is not a pair of AWS credentials: use a provider of access keys";
            return Err(Error::new(ErrorKind::InvalidCredentials, message));
        };
        let mut signer = Self::new(credentials.clone());
        signer.expiry = earlier(signer.expiry, identity.expiration());
        Ok(signer)
    }

    /// Returns the access key id, which is not secret.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Returns when the credentials expire, where known.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.expiry
    }

    /// Returns the credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Checks that the credentials can sign a valid token at `now`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidCredentials`] for a part that is empty or holds blanks, quotes or
    /// control characters, [`ErrorKind::ExpiredCredentials`] for credentials that have expired.
    pub fn check(&self, now: SystemTime) -> Result<(), Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match self.expiry {
            Some(expiry) if expiry <= now => Err(Error::expired(&self.access_key_id, expiry, now)),
            _ => Ok(()),
        }
    }

    pub(crate) fn shared_access_key_id(&self) -> Arc<str> {
        Arc::clone(&self.access_key_id)
    }

    /// Returns the access key id with the slash behind it, both encoded.
    pub(crate) fn encoded_access_key_id(&self) -> &str {
        &self.encoded_access_key_id
    }

    /// Returns `&X-Amz-Security-Token=…`, or nothing without a session token.
    pub(crate) fn session_parameter(&self) -> &str {
        &self.session
    }

    /// Returns the signing key for this day, region and service, derived at the first use.
    pub(crate) fn key(&self, time: &SigningTime, region: &str, service: &str) -> SigningKey {
        let day = time.day();
        if let Some(kept) = self.keys().iter().find(|kept| kept.is_for(day, region, service)) {
            return kept.key.clone();
        }
        // Outside of the lock: at midnight several threads may derive one key, but none waits for
        // another.
        let key = self.derive(time, region, service);
        let mut keys = self.keys();
        if !keys.iter().any(|kept| kept.is_for(day, region, service)) {
            // Reserved once: growing would leave copies of the keys in freed memory.
            let room = KEPT_KEYS.saturating_sub(keys.len());
            keys.reserve_exact(room);
            if keys.len() == KEPT_KEYS {
                keys.pop_front();
            }
            keys.push_back(KeptKey { day, region: region.into(), service: service.into(), key: key.clone() });
        }
        key
    }

    fn derive(&self, time: &SigningTime, region: &str, service: &str) -> SigningKey {
        let secret = self.credentials.secret_access_key();
        let derived = generate_signing_key(secret, time.system_time(), region, service);
        let mut key = SigningKey::default();
        // Copied into a buffer that is overwritten on drop; an HMAC-SHA-256 has 32 bytes, too.
        for (byte, derived) in key.iter_mut().zip(derived.as_ref()) {
            *byte = *derived;
        }
        key
    }

    /// Locks the keys. No code under the lock can panic halfway, so a poisoned lock is still sound.
    fn keys(&self) -> MutexGuard<'_, VecDeque<KeptKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("access_key_id", &self.access_key_id)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl KeptKey {
    fn is_for(&self, day: u64, region: &str, service: &str) -> bool {
        self.day == day && &*self.region == region && &*self.service == service
    }
}

/// Finds characters that no AWS key contains, such as a copied line break or quotes from a file.
///
/// Servers refuse a signature made with such a key without saying why.
fn fault(credentials: &Credentials) -> Option<Error> {
    let invalid = |message| Some(Error::new(ErrorKind::InvalidCredentials, message));
    let parts = [
        ("access key id", credentials.access_key_id()),
        ("secret access key", credentials.secret_access_key()),
        ("session token", credentials.session_token().unwrap_or_default()),
    ];
    for (name, part) in parts {
        // Only temporary credentials have a session token.
        if part.is_empty() && name != "session token" {
            return invalid(format!("{name} is empty: check where the credentials come from"));
        }
        if part.bytes().all(is_plain) {
            continue;
        }
        if let Some(what) = part.chars().find_map(foreign) {
            return invalid(format!("{name} holds {what}: remove it where the credentials come from"));
        }
    }
    None
}

/// Tells whether a byte may be part of a key; this fast path covers every valid key.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`')
}

/// Names the class of a character that no key contains; invisible ones count as blanks.
fn foreign(c: char) -> Option<&'static str> {
    match c {
        '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' => Some("a quote"),
        '\r' | '\n' | '\u{2028}' | '\u{2029}' => Some("a line break"),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => Some("a blank"),
        _ if c.is_whitespace() => Some("a blank"),
        _ if c.is_control() => Some("a control character"),
        _ => None,
    }
}

fn session_parameter(token: &str) -> ZeroizingString {
    const NAME: &str = "&X-Amz-Security-Token=";
    // Room for every byte escaped: growing would leave copies in freed memory.
    let mut parameter = String::with_capacity(NAME.len() + 3 * token.len());
    parameter.push_str(NAME);
    push_percent_encoded(&mut parameter, token);
    parameter.into()
}

fn earlier(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<SystemTime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
