//! Static AWS credentials and the database users that their policy names.

use std::collections::BTreeSet;
use std::{fmt, io};

use crate::random;

/// A static AWS access key and the database users it may connect as.
///
/// The set of users models an IAM policy with `rds-db:connect`; without [`allow`](Self::allow) the
/// key may connect as every user. `Debug` prints neither the secret nor the session token.
///
/// ```
/// let key = rds_testkit::AccessKey::new("ASIAEXAMPLE", "secret");
/// let key = key.with_session_token("session").allow("jane");
/// assert_eq!(key.env()[0], ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE".to_owned()));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct AccessKey {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    allowed: Option<BTreeSet<String>>,
    denied: BTreeSet<String>,
}

impl AccessKey {
    /// Creates a key that may connect as every user.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            allowed: None,
            denied: BTreeSet::new(),
        }
    }

    /// Makes the key a temporary one: its tokens must carry this session token.
    #[must_use]
    pub fn with_session_token(mut self, session_token: impl Into<String>) -> Self {
        self.session_token = Some(session_token.into());
        self
    }

    /// Lets the policy name `user`; repeatable. The first call narrows the key from every user to
    /// this one.
    #[must_use]
    pub fn allow(mut self, user: impl Into<String>) -> Self {
        self.allowed.get_or_insert_default().insert(user.into());
        self
    }

    /// Returns the access key id, which is not a secret.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Returns the secret access key, for the program under test.
    #[must_use]
    pub fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    /// Returns the session token of a temporary key, for the program under test.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Returns the key as the environment variables that every AWS SDK reads.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.clone()),
        ];
        pairs.extend(self.session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token)));
        pairs
    }

    pub(crate) fn generate() -> io::Result<Self> {
        Ok(Self::new(format!("AKIA{}", random::name::<16>()?), random::name::<40>()?))
    }

    pub(crate) fn permits(&self, user: &str) -> bool {
        !self.denied.contains(user) && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(user))
    }

    pub(crate) fn permit(&mut self, user: &str) {
        self.denied.remove(user);
        if let Some(allowed) = &mut self.allowed {
            allowed.insert(user.to_owned());
        }
    }

    pub(crate) fn deny(&mut self, user: &str) {
        self.denied.insert(user.to_owned());
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &"redacted")
            .field("session_token", &self.session_token.as_ref().map(|_| "redacted"))
            .field("allowed", &self.allowed)
            .field("denied", &self.denied)
            .finish()
    }
}
