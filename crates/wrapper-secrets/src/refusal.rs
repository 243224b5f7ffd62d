//! The error of a login that was refused with a secret.

use std::time::{Duration, SystemTime};

use host_pattern::Endpoint;
use wrapper_core::{Cause, ConnectRequest, Engine, Error, text::escape_control};

use crate::DatabaseSecret;

/// The result of the attempt to load a newer secret.
#[derive(Debug)]
pub(crate) enum Retry {
    /// The service could not be reached, or failed.
    Unavailable(Error),
    /// Nothing was tried, as for a secret that was loaded for this connect.
    None,
    /// A login with a newer secret, or a repeated one, was refused as well.
    Refused,
    /// The service returned the same secret.
    Unchanged,
}

/// A refused login, with the state of the secret.
pub(crate) struct Refusal<'a> {
    pub(crate) request: &'a ConnectRequest,
    pub(crate) secret: &'a DatabaseSecret,
    pub(crate) id: &'a str,
    pub(crate) retry: &'a Retry,
    /// `None` for programs that connect without the plugin, and so do not repeat logins.
    pub(crate) retry_timeout: Option<Duration>,
    pub(crate) now: SystemTime,
}

impl Refusal<'_> {
    /// Adds the state of the secret to the error's text, and ranks the causes.
    pub(crate) fn explain(&self, error: &Error) -> Error {
        let message = format!("{}; {}", error.message(), self.history());
        let error = error.clone().with_message(message);
        // An answer such as a locked account already names its cause.
        if error.diagnosis().first().is_some_and(|cause| cause.code() != Cause::PASSWORD_REFUSED) {
            return error;
        }
        let causes = self.causes(&error);
        error.with_diagnosis(causes)
    }

    fn history(&self) -> String {
        let since = |at| self.now.duration_since(at).unwrap_or_default().as_secs();
        let accepted = match self.secret.last_accepted() {
            Some(at) => format!("last accepted {} s ago", since(at)),
            None => "never accepted before".to_owned(),
        };
        let retry = match self.retry {
            Retry::Unavailable(error) => format!(", and no newer one could be loaded: {}", error.message()),
            Retry::None => String::new(),
            Retry::Refused => ", and the previous one was refused as well".to_owned(),
            Retry::Unchanged => ", and Secrets Manager has no newer one".to_owned(),
        };
        format!("secret `{}` was loaded {} s ago, {accepted}{retry}", self.id, since(self.secret.loaded_at()))
    }

    fn causes(&self, error: &Error) -> Vec<Cause> {
        let (user, id) = (escape_control(self.secret.user()), self.id);
        let mut causes = Vec::new();
        if let Some(host) = self.other_database() {
            causes.push(Cause::new(
                "secret-host",
                &format!(
                    "the secret is for the database at `{host}`, but the connection is to `{}`",
                    self.request.host()
                ),
                "set `secretId` to this database's secret",
            ));
        }
        let answer = error.server().map(|answer| answer.code().to_owned()).unwrap_or_default();
        // RDS checks users with rds_iam by PAM, which fails with this code; a wrong password has
        // 28P01.
        if self.request.engine() == Some(Engine::Postgres) && answer == "28000" {
            causes.push(Cause::new(
                "secret-iam-user",
                "the user has the role rds_iam, which disables its password login",
                &format!("use plugins=iam instead of the secret, or REVOKE rds_iam FROM \"{user}\""),
            ));
        }
        let window = match self.retry_timeout.map(|timeout| timeout.as_millis()) {
            Some(0) => "set secretRotationRetryTimeoutMs=20000, which bridges it".to_owned(),
            Some(millis) => format!("raise secretRotationRetryTimeoutMs, which is {millis}"),
            None => {
                "connect again in a few seconds, or rotate by two users, which has no such window".to_owned()
            }
        };
        causes.push(Cause::new(
            "secret-rotation",
            "the secret is being rotated, and the database has the new password before the secret",
            &window,
        ));
        causes.push(Cause::new(
            "secret-out-of-step",
            "the password was changed without Secrets Manager, or a rotation failed half-way",
            &format!("rotate it: aws secretsmanager rotate-secret --secret-id {id}"),
        ));
        causes
    }

    /// Returns the host that the secret names, if it is certainly another database.
    fn other_database(&self) -> Option<String> {
        let named = Endpoint::parse(self.secret.host()?).ok()?;
        let dialled = Endpoint::parse(self.request.host()).ok()?;
        // One cluster has many names under one domain.
        let is_other =
            named.domain().is_some() && dialled.domain().is_some() && named.domain() != dialled.domain();
        is_other.then(|| named.as_str().to_owned())
    }
}
