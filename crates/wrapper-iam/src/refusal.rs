//! The error of a login that was refused with a token.

use std::time::{Duration, SystemTime};

use iam_token_provider::{IamToken, TokenRequest, masked_key_id};
use wrapper_core::{Cause, ConnectRequest, Engine, Error};

use crate::diagnosis::{Asked, Facts};

/// A refused login with the facts about it.
pub(crate) struct Refusal<'a> {
    pub(crate) request: &'a ConnectRequest,
    pub(crate) target: &'a TokenRequest,
    pub(crate) token: &'a IamToken,
    /// The key refused earlier in this connect, which the token's key replaced.
    pub(crate) former_key: Option<&'a str>,
    pub(crate) retry: Retry,
    pub(crate) has_many_logins: bool,
    pub(crate) now: SystemTime,
}

/// The refused access keys of one connect, without consecutive repetitions.
#[derive(Debug, Default)]
pub(crate) struct RefusedKeys(Vec<String>);

impl RefusedKeys {
    pub(crate) fn note(&mut self, token: &IamToken) {
        let key = token.access_key_id();
        if self.0.last().is_none_or(|last| last != key) {
            self.0.push(key.to_owned());
        }
    }

    /// Returns the key before the last one.
    pub(crate) fn former(&self) -> Option<&str> {
        self.0.iter().rev().nth(1).map(String::as_str)
    }
}

/// Why a refused login was not retried, or how the retry ended.
#[derive(Debug)]
pub(crate) enum Retry {
    /// The token was new, or the server did not ask for a token.
    Pointless,
    /// A server accepted the token a moment ago, so it is not stale.
    RecentlyAccepted,
    /// The new token was refused too.
    Refused,
    /// No other token is available.
    Unavailable(Error),
}

impl Refusal<'_> {
    /// Adds the facts about the token to the error's text, and ranks the causes.
    pub(crate) fn explain(&self, error: &Error) -> Error {
        let message = format!("{}; {}", error.message(), self.description());
        let error = error.clone().with_message(message);
        // A locked account has one cause, which the server named.
        match error.diagnosis() {
            [] => {}
            [cause, ..] if cause.code() == Cause::PASSWORD_REFUSED => {}
            _ => return error,
        }
        let causes = self.facts(&error).causes();
        error.with_diagnosis(causes)
    }

    fn facts(&self, error: &Error) -> Facts<'_> {
        let token = self.token;
        let dialled = (self.request.host(), self.request.port());
        let mut facts = Facts::new(self.target, dialled, self.request.engine().unwrap_or(Engine::Postgres));
        facts.asked = match facts.engine {
            Engine::Postgres => Asked::of_postgres(self.target, error),
            // MySQL refuses every login with the same message.
            _ => Asked::Unknown,
        };
        facts.answer = error.server().map(|answer| answer.text().to_owned()).unwrap_or_default();
        facts.access_key_id = token.access_key_id();
        facts.key_was_replaced = self.former_key.is_some();
        facts.credentials_left = Some(token.expires_at().duration_since(self.now).unwrap_or_default());
        // Only where it stopped the retry: an older acceptance explains nothing.
        facts.recently_accepted = match self.retry {
            Retry::RecentlyAccepted => self.token.last_accepted().map(|at| self.since(at)),
            _ => None,
        };
        facts.has_many_logins = self.has_many_logins;
        facts
    }

    fn since(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }

    fn description(&self) -> String {
        let token = self.token;
        let age = self.since(token.signed_at()).as_secs();
        let accepted = match self.token.last_accepted() {
            Some(at) => format!("last accepted {} s ago", self.since(at).as_secs()),
            None => "never accepted before".to_owned(),
        };
        let retry = match &self.retry {
            Retry::Refused => "; a freshly signed token was rejected as well".to_owned(),
            Retry::Unavailable(error) => format!("; no new token is available: {}", error.message()),
            Retry::RecentlyAccepted | Retry::Pointless => String::new(),
        };
        let replaced = self.former_key.map_or_else(String::new, |former| {
            format!(", with a key in place of {}, which was refused too", masked_key_id(former))
        });
        format!(
            "the token was signed {age} s ago for {} with access key {}, {accepted}{retry}{replaced}",
            self.target,
            masked_key_id(token.access_key_id())
        )
    }
}
