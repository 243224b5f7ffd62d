//! The meaning of a server's answer to a login: one table for each engine, without a driver.

use std::borrow::Cow;

use wrapper_core::{Cause, ConnectRequest, Engine, Error, ErrorKind, ServerError, text::escape_control};

mod mysql;
mod postgres;

pub use mysql::MYSQL_ANSWERS;
pub use postgres::POSTGRES_ANSWERS;

/// Holds what a server answered to a login.
#[derive(Clone, Copy, Debug)]
pub struct LoginAnswer<'a> {
    engine: Engine,
    code: &'a str,
    text: &'a str,
    hint: Option<&'a str>,
    routine: Option<&'a str>,
    is_before_login: bool,
}

impl<'a> LoginAnswer<'a> {
    /// Creates an answer out of a code (an SQLSTATE, or MySQL's error number) and a text in any
    /// language.
    pub fn new(engine: Engine, code: &'a str, text: &'a str) -> Self {
        Self { engine, code, text, hint: None, routine: None, is_before_login: false }
    }

    /// Adds the hint of a PostgreSQL server.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<&'a str>) -> Self {
        self.hint = hint;
        self
    }

    /// Adds the routine of the server's source that a PostgreSQL server names: it is in no human
    /// language.
    #[must_use]
    pub fn with_routine(mut self, routine: Option<&'a str>) -> Self {
        self.routine = routine;
        self
    }

    /// Notes that a MySQL server sent the answer in place of its greeting.
    #[must_use]
    pub fn before_login(mut self) -> Self {
        self.is_before_login = true;
        self
    }

    /// Returns the engine that answered.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Creates the error for a server that rejected a user: kind and cause from the engine's table,
    /// and the sanitized answer as the source.
    pub fn refused(&self, said: ServerError, request: &ConnectRequest) -> Error {
        let (place, user, database) = (request.address_label(), request.user(), request.database());
        let row = self.classify(&[user, database.unwrap_or_default()]);
        let shown = escape_control(user);
        let message = match row.kind() {
            ErrorKind::Login => format!("{place} refused the login of user `{shown}`"),
            _ => format!("{place} rejected the connection of user `{shown}`"),
        };
        let causes = row.cause(self.engine, user, database);
        let error = Error::new(row.kind(), message).with_source(said).with_diagnosis(causes);
        if row.is_retried() { error.with_stale_password() } else { error }
    }

    /// Finds the row of the engine's table that the answer belongs to.
    ///
    /// Names of the client that the server quotes are ignored: a user may be called `pg_hba.conf`.
    pub fn classify(&self, names: &[&str]) -> &'static AnswerRow {
        let table = match self.engine {
            Engine::Mysql => MYSQL_ANSWERS,
            Engine::Postgres => POSTGRES_ANSWERS,
            _ => &[],
        };
        // Names are removed before the text is lowered, because they are compared by case.
        let text = without_names(self.text, names).to_lowercase();
        let hint = self.hint.map(str::to_lowercase);
        let found = table.iter().find(|row| row.matches(self, &text, hint.as_deref()));
        found.unwrap_or(&UNKNOWN)
    }
}

/// The meaning of one answer.
#[derive(Debug)]
pub struct AnswerRow {
    /// SQLSTATEs, the first two characters of a class of them, or MySQL's numbers; empty for any.
    codes: &'static [&'static str],
    /// Fragments in lower case, all of which the text has to contain.
    text: &'static [&'static str],
    /// A fragment in lower case that the hint has to contain.
    hint: Option<&'static str>,
    /// The server's routine, which identifies the answer in every language.
    routine: Option<&'static str>,
    before_login: bool,
    kind: ErrorKind,
    retry: bool,
    /// Code, sentence and remedy, with `{user}` and `{database}` for the names as SQL quotes them.
    cause: Option<(&'static str, &'static str, &'static str)>,
}

/// An answer that is in no table.
static UNKNOWN: AnswerRow = AnswerRow::new(&[], &[], ErrorKind::Driver);

impl AnswerRow {
    const fn new(codes: &'static [&'static str], text: &'static [&'static str], kind: ErrorKind) -> Self {
        Self { codes, text, hint: None, routine: None, before_login: false, kind, retry: false, cause: None }
    }

    const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    const fn or_routine(mut self, routine: &'static str) -> Self {
        self.routine = Some(routine);
        self
    }

    const fn before_login(mut self) -> Self {
        self.before_login = true;
        self
    }

    const fn retried(mut self) -> Self {
        self.retry = true;
        self
    }

    const fn because(mut self, code: &'static str, sentence: &'static str, remedy: &'static str) -> Self {
        self.cause = Some((code, sentence, remedy));
        self
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns whether a newer token may mend it.
    pub fn is_retried(&self) -> bool {
        self.retry
    }

    /// Returns the cause, for a user at a database.
    pub fn cause(&self, engine: Engine, user: &str, database: Option<&str>) -> Option<Cause> {
        let (code, sentence, remedy) = self.cause?;
        let database = database.map_or("…".to_owned(), |name| engine.quote_identifier(name));
        let user = engine.quote_user(user);
        Some(Cause::new(code, &filled(sentence, &user, &database), &filled(remedy, &user, &database)))
    }

    fn matches(&self, answer: &LoginAnswer<'_>, text: &str, hint: Option<&str>) -> bool {
        // An SQLSTATE has five characters and MySQL's numbers have four: two are a class of
        // SQLSTATEs.
        let is_code = |code: &&str| match code.len() {
            2 => answer.code.starts_with(*code),
            _ => answer.code == *code,
        };
        let has_code = self.codes.is_empty() || self.codes.iter().any(is_code);
        let says = !self.text.is_empty() && self.text.iter().all(|part| text.contains(part));
        let is_routine = self.routine.is_some() && self.routine == answer.routine;
        let has_text = says || is_routine || (self.text.is_empty() && self.routine.is_none());
        let has_hint = self.hint.is_none_or(|part| hint.is_some_and(|hint| hint.contains(part)));
        has_code && has_text && has_hint && (!self.before_login || answer.is_before_login)
    }
}

/// Fills one placeholder after the other, so that a name that looks like one is not replaced.
fn filled(template: &str, user: &str, database: &str) -> String {
    let parts: Vec<_> = template.split("{user}").map(|part| part.replace("{database}", database)).collect();
    parts.join(user)
}

/// Removes quoted names from a text, for the quotation marks of several languages.
fn without_names<'a>(text: &'a str, names: &[&str]) -> Cow<'a, str> {
    const MARKS: &[(char, char)] =
        &[('"', '"'), ('\'', '\''), ('»', '«'), ('«', '»'), ('„', '“'), ('“', '”')];
    let mut text = Cow::Borrowed(text);
    for name in names.iter().filter(|name| !name.is_empty()) {
        for (open, close) in MARKS {
            let quoted = format!("{open}{name}{close}");
            if text.contains(&quoted) {
                text = Cow::Owned(text.replace(&quoted, ""));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
