//! One running server, as the suite sees it.

use std::path::Path;

use crate::{
    Result,
    certificates::Certificates,
    key::Key,
    verifier::{Verdict, Verifier},
};

/// The endpoint that a server plays.
pub(crate) const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

/// Another name that its certificate has, of the reader endpoint.
pub(crate) const READER_HOST: &str = "db.cluster-ro-abc123.us-east-2.rds.amazonaws.com";

/// A name of the same domain that its certificate does not have.
pub(crate) const OTHER_HOST: &str = "other.abc123.us-east-2.rds.amazonaws.com";

/// The region that it is in.
pub(crate) const REGION: &str = "us-east-2";

/// The users who log in by token, with unusual names among them; no key's policy allows `mallory`.
pub(crate) const USERS: [&str; 5] = ["jane", "bob", "Jane Doe", "a@b+c/d%e", "mallory"];

/// The user with a password, without TLS, as whom `rds-testkit` forwards sessions.
pub(crate) const FORWARDED: (&str, &str) = ("forwarded", "forwarded password");

/// The users of a secret, with the passwords that they begin with.
pub(crate) const OF_SECRETS: [(&str, &str); 2] = [("app", "first password"), ("app_clone", "clone password")];

/// The engine of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Mariadb,
    Mysql,
    Postgres,
}

impl Engine {
    /// Returns the name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
            Self::Postgres => "postgresql",
        }
    }
}

/// A server with its verifier.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) engine: Engine,
    pub(crate) port: u16,
    certificates: Certificates,
    verifier: Verifier,
}

impl Environment {
    /// Creates an environment.
    pub(crate) fn new(engine: Engine, port: u16, certificates: Certificates, verifier: Verifier) -> Self {
        Self { engine, port, certificates, verifier }
    }

    /// Returns the authority that a client should trust.
    pub(crate) fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// Returns the files of the server's certificate.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Returns an authority that a client should not trust.
    pub(crate) fn other_authority(&self) -> &Path {
        &self.certificates.other_authority
    }

    /// Registers these keys at the server, in place of earlier ones.
    pub(crate) fn record(&self, keys: &[&Key]) -> Result<()> {
        self.record_at(keys, 0)
    }

    /// The same, with a clock that is so many seconds ahead.
    pub(crate) fn record_at(&self, keys: &[&Key], ahead: i64) -> Result<()> {
        // `lax` is the account without REQUIRE SSL, which only MySQL's servers have.
        let allowed = USERS.into_iter().chain(["lax"]);
        let users: Vec<_> = allowed.filter(|user| *user != "mallory").collect();
        self.verifier.record(keys, &users, ahead)
    }

    /// Runs a login, and adds the verdicts of the verifier.
    pub(crate) async fn observe(&self, login: impl Future<Output = Observation>) -> Result<Observation> {
        self.observe_fallible(async { Ok(login.await) }).await
    }

    /// Returns the same for something that can fail otherwise than by a case that differs.
    pub(crate) async fn observe_fallible(
        &self,
        login: impl Future<Output = Result<Observation>>,
    ) -> Result<Observation> {
        // The log only grows and cases run one after the other: what is new belongs to this login.
        let before = self.verifier.verdicts()?.len();
        let mut seen = login.await?;
        let verdicts = self.verifier.verdicts()?.split_off(before);
        seen.text = format!("{}; {}", seen.text, summary(&verdicts));
        seen.details
            .extend(verdicts.iter().filter(|verdict| !verdict.details.is_empty()).map(Verdict::to_string));
        Ok(seen)
    }
}

/// The outcome of a case.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    /// The text for the table, compared with the expectation.
    pub(crate) text: String,
    /// Details, shown if the text differs.
    pub(crate) details: Vec<String>,
}

fn summary(verdicts: &[Verdict]) -> String {
    let mut rows: Vec<(&str, usize)> = Vec::new();
    for verdict in verdicts {
        match rows.last_mut() {
            Some((word, count)) if *word == verdict.word => *count += 1,
            _ => rows.push((&verdict.word, 1)),
        }
    }
    let rows = rows.iter().map(|(word, count)| match count {
        1 => (*word).to_owned(),
        _ => format!("{word} {count} times"),
    });
    let text = rows.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "not asked".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: &str) {
        let verdict = |word: &&str| Verdict { word: (*word).to_owned(), length: 0, details: String::new() };
        assert_eq!(summary(&words.iter().map(verdict).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn no_verdict_is_shown_as_not_asked() {
        check(&[], "not asked");
    }

    #[test]
    fn same_verdicts_are_counted() {
        check(&["key", "accepted", "accepted", "accepted"], "key, accepted 3 times");
    }
}
