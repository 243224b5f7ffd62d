//! What to check when a token is refused, because the server never says.

use std::time::{Duration, SystemTime};

use wrapper_core::{ConnectRequest, Error};

use crate::{TokenTarget, credentials::last_four, tokens::TokenLease};

/// A token this near to its end may have been refused because of it.
const NEAR: Duration = Duration::from_secs(60);

/// A refused login and what is known of it.
pub(crate) struct Refusal<'a> {
    pub(crate) request: &'a ConnectRequest,
    pub(crate) target: &'a TokenTarget,
    pub(crate) token: &'a TokenLease,
    pub(crate) retry: Retry,
    pub(crate) now: SystemTime,
    /// The region in the name that was signed for.
    pub(crate) named_region: Option<String>,
}

/// Says why a refused login was not tried once more, or what came of it.
#[derive(Debug)]
pub(crate) enum Retry {
    /// A server accepted the token a moment ago, so it is not stale.
    AcceptedLately,
    /// No other token could be had.
    Impossible(Error),
    /// The new token was refused too.
    Refused,
    /// The token was new, or the server asked for something else than a token.
    Useless,
}

impl Refusal<'_> {
    /// Puts the facts and the ranked causes in place of the error's text.
    pub(crate) fn explain(&self, error: &Error) -> Error {
        let causes: Vec<_> = self
            .causes(error)
            .iter()
            .enumerate()
            .map(|(index, cause)| format!("({}) {cause}", index + 1))
            .collect();
        let message = format!("{error}; {}; check in this order: {}", self.facts(), causes.join(", "));
        error.clone().with_message(message)
    }

    fn facts(&self) -> String {
        let token = self.token.value();
        let age = self.now.duration_since(token.signed_at()).unwrap_or_default().as_secs();
        let accepted = match self.token.last_accepted() {
            Some(at) => {
                let ago = self.now.duration_since(at).unwrap_or_default().as_secs();
                format!("last accepted {ago} s ago")
            }
            None => "never accepted before".to_owned(),
        };
        let retry = match &self.retry {
            Retry::Refused => ", a second and new token as the one before it".to_owned(),
            Retry::Impossible(error) => format!(", and no new one could be had: {error}"),
            Retry::AcceptedLately | Retry::Useless => String::new(),
        };
        format!(
            "the token was signed {age} s ago for {} with access key {}, {accepted}{retry}",
            self.target,
            last_four(token.access_key_id())
        )
    }

    fn causes(&self, error: &Error) -> Vec<String> {
        let (target, token) = (self.target, self.token.value());
        let mut causes = Vec::new();
        if let Some(named) = self.named_region.as_deref().filter(|named| *named != target.region()) {
            causes.push(format!(
                "`iamRegion` is {} but the name says {named}: one of them is wrong",
                target.region()
            ));
        }
        let throttled = "throttling: RDS takes about 200 iam logins a second and refuses more".to_owned();
        let policy = format!(
            "the iam policy allows rds-db:connect on this database user (…:dbuser:<resource id>/{})",
            target.user().escape_debug()
        );
        let grant = "the database user has the role rds_iam (PostgreSQL) or is identified with AWSAuthenticationPlugin (MySQL, MariaDB)"
            .to_owned();
        let is_accepted_lately = matches!(self.retry, Retry::AcceptedLately);
        if is_accepted_lately {
            causes.extend([throttled.clone(), format!("{policy}, which may have changed")]);
        }
        if token.expires_at().duration_since(self.now).unwrap_or_default() < NEAR {
            causes.push("the aws credentials are at their end: renew the session".to_owned());
        }
        causes.push(grant);
        if !is_accepted_lately && error.may_be_stale_password() {
            causes.push(policy);
        }
        let (host, port) = (self.request.host(), self.request.port());
        causes.push(format!(
            "`{host}:{port}` leads to the endpoint and port that were signed for (`{}:{}`), in {}",
            target.host(),
            target.port(),
            target.region()
        ));
        causes.push("this machine's clock, which may not be more than a few minutes off".to_owned());
        if !is_accepted_lately {
            causes.push(throttled);
        }
        causes.push("the server's log group iam-db-auth-error, which names the reason".to_owned());
        causes
    }
}
