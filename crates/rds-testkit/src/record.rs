//! The record of login attempts, one per connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::bounded::{Bounded, cut};
use crate::refusal::Refusal;
use crate::token_policy::{self, TokenPolicy};
use crate::{hash, random};

/// One connection of a client, with its login data and outcome.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The user that logged in; empty if the client never sent one.
    pub user: String,
    /// The requested database, by default named like the user; empty if the client never sent one.
    pub database: String,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// The server name that the client sent in its TLS greeting (SNI).
    pub server_name: Option<String>,
    /// The length of the password in bytes; 0 if none was sent in clear text.
    pub password_len: usize,
    /// A digest that distinguishes passwords without revealing them.
    pub password_digest: Option<PasswordDigest>,
    /// The access key id that a well-formed token names, trusted or not.
    pub access_key_id: Option<String>,
    /// How the attempt ended.
    pub outcome: Outcome,
    /// The exact reason of a refused login, for a failing test's output; never part of a secret.
    pub detail: String,
    /// When it ended, by the server's clock.
    pub at: SystemTime,
}

/// How an [`Attempt`] ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The connection ended before a verdict: the client disconnected, or a fault dropped it.
    Abandoned,
    /// The login was accepted.
    Accepted,
    /// The login was refused.
    Refused(Refusal),
    /// The TLS handshake failed, for example because the client does not trust the certificate.
    TlsFailed,
}

/// A digest to compare two passwords seen by one server.
///
/// It is a hash keyed with a secret of the server, so it can be printed and is meaningless
/// elsewhere.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct PasswordDigest([u8; 8]);

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordDigest({})", hash::hex(&self.0))
    }
}

/// The attempts of one server.
#[derive(Debug)]
pub(crate) struct Record {
    entries: Mutex<Entries>,
    count: watch::Sender<usize>,
    digest_key: [u8; 32],
}

#[derive(Debug, Default)]
struct Entries {
    attempts: Bounded<Attempt>,
    /// The number of each outcome, including attempts no longer kept.
    outcomes: HashMap<Outcome, usize>,
}

impl Record {
    pub(crate) fn new() -> std::io::Result<Self> {
        let count = watch::Sender::new(0);
        Ok(Self { entries: Mutex::default(), count, digest_key: random::bytes()? })
    }

    pub(crate) fn digest(&self, password: &[u8]) -> PasswordDigest {
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash::hmac_sha256(&self.digest_key, password)[..8]);
        PasswordDigest(digest)
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.entries().attempts.to_vec()
    }

    pub(crate) fn count(&self, wanted: impl Fn(Outcome) -> bool) -> usize {
        self.entries().outcomes.iter().filter(|(outcome, _)| wanted(**outcome)).map(|(_, count)| count).sum()
    }

    /// Waits until at least `count` attempts are complete.
    pub(crate) async fn reached(&self, count: usize) -> Vec<Attempt> {
        let mut counts = self.count.subscribe();
        // The sender lives in `self`.
        let _ = counts.wait_for(|seen| *seen >= count).await;
        self.attempts()
    }

    fn add(&self, attempt: Attempt) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            user = attempt.user,
            database = attempt.database,
            tls = attempt.tls,
            server_name = attempt.server_name,
            outcome = ?attempt.outcome,
            detail = attempt.detail,
            "login attempt"
        );
        // The entry before the count, and no lock at the wake: whoever is woken reads the entries.
        {
            let mut entries = self.entries();
            *entries.outcomes.entry(attempt.outcome).or_default() += 1;
            entries.attempts.push(attempt);
        }
        self.count.send_modify(|count| *count += 1);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt in progress. If it is dropped without an outcome, for example because its connection
/// was cut, it is recorded as abandoned.
pub(crate) struct LoginAttempt {
    record: Arc<Record>,
    token_policy: TokenPolicy,
    pub(crate) entry: Attempt,
    open: bool,
}

impl LoginAttempt {
    pub(crate) fn new(record: Arc<Record>, token_policy: TokenPolicy) -> Self {
        let entry = Attempt {
            user: String::new(),
            database: String::new(),
            tls: false,
            server_name: None,
            password_len: 0,
            password_digest: None,
            access_key_id: None,
            outcome: Outcome::Abandoned,
            detail: String::new(),
            at: SystemTime::UNIX_EPOCH,
        };
        Self { record, token_policy, entry, open: true }
    }

    /// Records the digest and length of the password.
    pub(crate) fn password(&mut self, password: &[u8]) {
        self.entry.password_len = password.len();
        self.entry.password_digest = Some(self.record.digest(password));
        self.entry.access_key_id = token_policy::access_key_id(password);
    }

    /// Records the outcome. Must be called before the client gets the answer, so that a test that
    /// saw the answer sees the record too.
    pub(crate) fn end(&mut self, outcome: Outcome, detail: impl Into<String>) {
        // An attempt ends once: `drop` finds it closed.
        if !std::mem::take(&mut self.open) {
            return;
        }
        let mut entry = self.entry.clone();
        entry.outcome = outcome;
        entry.detail = detail.into();
        for text in [&mut entry.user, &mut entry.database, &mut entry.detail] {
            text.truncate(cut(text).len());
        }
        entry.at = self.token_policy.now();
        self.record.add(entry);
    }

    /// Records nothing: the connection was no login, but a cancel request.
    pub(crate) fn forget(&mut self) {
        self.open = false;
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{MOST_ENTRIES, MOST_TEXT};
    use crate::clock::{self, Clock};
    use crate::token_policy::Rules;

    #[test]
    fn only_the_last_attempts_are_kept_and_all_are_counted() {
        let record = Arc::new(Record::new().unwrap());
        let policy = TokenPolicy::new(Rules::default(), Clock::new(clock::system));
        for number in 0..=MOST_ENTRIES {
            let mut attempt = LoginAttempt::new(record.clone(), policy.clone());
            attempt.entry.user = format!("{number}{}", "ü".repeat(MOST_TEXT));
            attempt.end(Outcome::Accepted, "");
        }
        drop(LoginAttempt::new(record.clone(), policy));

        let attempts = record.attempts();
        assert_eq!((attempts.len(), attempts[0].user.len()), (MOST_ENTRIES, MOST_TEXT - 1));
        assert!(attempts[0].user.starts_with("2ü"), "the first two are gone");
        let count = |wanted| record.count(|outcome| outcome == wanted);
        assert_eq!((count(Outcome::Accepted), count(Outcome::Abandoned)), (MOST_ENTRIES + 1, 1));
    }
}
