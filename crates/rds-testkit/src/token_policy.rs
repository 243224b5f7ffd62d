//! The token policy: keys, users and the clock.

mod endpoint;
mod sigv4;
mod timestamp;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::sigv4::{encode as percent_encoded, sign};
pub(crate) use self::timestamp::parse as parse_timestamp;
use self::token::Token;
use crate::access_key::AccessKey;
use crate::clock::Clock;
use crate::hash;
use crate::refusal::{Refusal, RefusalDetail};

/// How far into the future a token may be signed. AWS documents no number for RDS; other services
/// allow SigV4 five minutes.
const FUTURE_SKEW: Duration = Duration::from_secs(300);

/// The rules of a running server: a cheap handle, changed while clients connect.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rds_testkit::Error> {
/// use rds_testkit::{AccessKey, PostgresServer};
///
/// let server = PostgresServer::builder().start().await?;
/// let token_policy = server.token_policy();
/// token_policy.add_key(AccessKey::new("AKIAROTATED", "secret"));
/// token_policy.revoke_key(server.access_key().access_key_id());
/// token_policy.deny("AKIAROTATED", "jane");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenPolicy {
    rules: Arc<Mutex<Rules>>,
    clock: Arc<Clock>,
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) keys: HashMap<String, AccessKey>,
    pub(crate) users: HashMap<String, Account>,
    pub(crate) limit: Option<LoginLimit>,
}

/// The limit of logins by token per second, and the logins of the current second.
#[derive(Debug)]
pub(crate) struct LoginLimit {
    per_second: usize,
    second: u64,
    logins: usize,
}

/// How a database user authenticates.
#[derive(Clone)]
pub(crate) enum Account {
    Iam,
    Password(String),
}

impl TokenPolicy {
    pub(crate) fn new(rules: Rules, clock: Clock) -> Self {
        Self { rules: Arc::new(Mutex::new(rules)), clock: Arc::new(clock) }
    }

    /// Adds a key, or replaces the one with the same access key id.
    pub fn add_key(&self, key: AccessKey) {
        self.rules().keys.insert(key.access_key_id().to_owned(), key);
    }

    /// Removes a key and returns whether it existed: its tokens are refused from now on.
    pub fn revoke_key(&self, access_key_id: &str) -> bool {
        self.rules().keys.remove(access_key_id).is_some()
    }

    /// Lets the policy of a key name `user`; without effect for an unknown key.
    pub fn allow(&self, access_key_id: &str, user: &str) {
        if let Some(key) = self.rules().keys.get_mut(access_key_id) {
            key.permit(user);
        }
    }

    /// Lets the policy of a key deny `user`, even if it allows every user; without effect for an
    /// unknown key.
    pub fn deny(&self, access_key_id: &str, user: &str) {
        if let Some(key) = self.rules().keys.get_mut(access_key_id) {
            key.deny(user);
        }
    }

    /// Adds a database user that is granted `rds_iam`, or grants it to a user with a password.
    pub fn add_user(&self, user: impl Into<String>) {
        self.rules().users.insert(user.into(), Account::Iam);
    }

    /// Adds a database user with a password, or takes `rds_iam` away from an existing one.
    pub fn add_password_user(&self, user: impl Into<String>, password: impl Into<String>) {
        self.rules().users.insert(user.into(), Account::Password(password.into()));
    }

    /// Drops a database user and returns whether it existed.
    pub fn remove_user(&self, user: &str) -> bool {
        self.rules().users.remove(user).is_some()
    }

    /// Refuses logins by token beyond this many per second of the server's clock, with the
    /// text of any other refusal, as RDS does at about 200; refused ones count too.
    ///
    /// Default: no limit.
    pub fn limit_logins(&self, per_second: usize) {
        self.rules().limit = Some(LoginLimit { per_second, second: 0, logins: 0 });
    }

    /// Returns the time by the server's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Moves the server's clock forward: tokens age without waiting.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Moves the server's clock back: tokens come from the future.
    pub fn rewind(&self, by: Duration) {
        self.clock.rewind(by);
    }

    /// Returns a receiver that is notified of each move of the clock.
    #[cfg(feature = "iam-token-provider")]
    pub(crate) fn moves(&self) -> tokio::sync::watch::Receiver<u64> {
        self.clock.moves()
    }

    pub(crate) fn account(&self, user: &str) -> Option<Account> {
        self.rules().users.get(user).cloned()
    }

    /// Checks a token that `user` sent as the password, for `endpoint` and now.
    ///
    /// The token's own claims are checked first, so that a test gets the most specific reason; the
    /// signature is verified before the policy is consulted.
    pub(crate) fn verify(
        &self,
        endpoint: &Endpoint,
        user: &str,
        password: &[u8],
    ) -> Result<(), RefusalDetail> {
        let now = self.now();
        let mut rules = self.rules();
        // Counted before any check: refused logins use up the limit as well.
        if rules.limit.as_mut().is_some_and(|limit| limit.is_reached(now)) {
            return Err(RefusalDetail::new(Refusal::Throttled, ""));
        }
        let token = Token::parse(password)?;
        endpoint.check(&token, user)?;
        check_time(&token, now)?;
        let Some(key) = rules.keys.get(token.access_key_id()) else {
            return Err(RefusalDetail::new(
                Refusal::UnknownKey,
                format!("access key {:?}", token.access_key_id()),
            ));
        };
        check_session(&token, key)?;
        sigv4::check(&token, key.secret_access_key())?;
        if !key.permits(user) {
            let detail = format!("rds-db:connect not allowed for {user:?} with {}", key.access_key_id());
            return Err(RefusalDetail::new(Refusal::Policy, detail));
        }
        Ok(())
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginLimit {
    /// Counts a login, and returns whether it exceeds the limit.
    fn is_reached(&mut self, now: SystemTime) -> bool {
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        // A fixed window: at its edge twice the limit may pass within a second.
        if second != self.second {
            (self.second, self.logins) = (second, 0);
        }
        self.logins += 1;
        self.logins > self.per_second
    }
}

impl fmt::Debug for TokenPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules();
        f.debug_struct("TokenPolicy")
            .field("keys", &rules.keys)
            .field("users", &rules.users)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iam => "Iam",
            Self::Password(_) => "Password(redacted)",
        })
    }
}

/// Extracts the access key id from an apparent token, also for the record of refused logins.
pub(crate) fn access_key_id(password: &[u8]) -> Option<String> {
    Token::parse(password).ok().map(|token| token.access_key_id().to_owned())
}

fn check_time(token: &Token, now: SystemTime) -> Result<(), RefusalDetail> {
    if now >= token.expires_at() {
        let late = now.duration_since(token.expires_at()).unwrap_or_default();
        return Err(RefusalDetail::new(Refusal::Expired, format!("{} s after its end", late.as_secs())));
    }
    if token.signed_at() > now + FUTURE_SKEW {
        let early = token.signed_at().duration_since(now).unwrap_or_default();
        return Err(RefusalDetail::new(Refusal::NotYetValid, format!("signed {} s ahead", early.as_secs())));
    }
    Ok(())
}

fn check_session(token: &Token, key: &AccessKey) -> Result<(), RefusalDetail> {
    match (token.value("X-Amz-Security-Token"), key.session_token()) {
        (None, None) => Ok(()),
        // In constant time, as the token is a secret.
        (Some(given), Some(expected)) if hash::equal(given.as_bytes(), expected.as_bytes()) => Ok(()),
        (given, expected) => {
            let state = |token: Option<&str>| if token.is_some() { "present" } else { "absent" };
            let detail = format!("session token {}, expected {}", state(given), state(expected));
            Err(RefusalDetail::new(Refusal::SessionToken, detail))
        }
    }
}

#[cfg(test)]
mod tests;
