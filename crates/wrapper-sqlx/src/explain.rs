//! What an error of sqlx means.

use sqlx::error::DatabaseError;
use wrapper_adapter::LoginAnswer;
use wrapper_core::{Cause, ConnectRequest, Engine, Error, ErrorKind, ServerError};
use wrapper_iam::{
    IamToken,
    diagnosis::{Asked, Facts},
};

use crate::{
    password_source::{Login, PasswordSource},
    session::code,
};

/// What the pool knows of the login that an error may come from.
pub(crate) struct Known<'a> {
    pub(crate) request: &'a ConnectRequest,
    pub(crate) engine: Engine,
    pub(crate) passwords: &'a PasswordSource,
    pub(crate) login: &'a Login,
    /// Why there is no newer password.
    pub(crate) last_error: Option<&'a Error>,
}

impl Known<'_> {
    pub(crate) fn explain(&self, error: sqlx::Error) -> Error {
        let label = self.request.address_label();
        let failed = |kind, message: String| Error::new(kind, message);
        match error {
            sqlx::Error::Database(answer) => self.answered(&*answer),
            sqlx::Error::PoolTimedOut => match self.last_error {
                Some(last) => last.clone().with_message(format!("{error}: {}", last.message())),
                None => failed(
                    ErrorKind::Timeout,
                    format!("the pool gave no connection to {label} in time: are all of them in use?"),
                )
                .with_source(error),
            },
            sqlx::Error::Tls(_) => {
                let message =
                    format!("the TLS handshake with {label} failed: check `sslrootcert` and the name");
                failed(ErrorKind::Tls, message).with_source(error)
            }
            sqlx::Error::Io(_) => {
                failed(ErrorKind::Connect, format!("no connection to {label}")).with_source(error)
            }
            error => failed(ErrorKind::Driver, format!("sqlx failed at {label}")).with_source(error),
        }
    }

    /// Reads a server's answer as the other adapters read it, and ranks the causes of a refused
    /// login.
    fn answered(&self, answer: &dyn DatabaseError) -> Error {
        let code = code(answer);
        let said = ServerError::new(&code, answer.message(), [self.login.password()]);
        let (hint, routine) = details(answer);
        let read =
            LoginAnswer::new(self.engine, &code, answer.message()).with_hint(hint).with_routine(routine);
        let request = self.login.request(self.request);
        let refused = read.refused(said.clone(), &request);
        if refused.kind() == ErrorKind::Driver {
            let message = format!("{} refused a statement", self.request.address_label());
            return Error::new(ErrorKind::Driver, message).with_source(said);
        }
        match self.login {
            #[cfg(feature = "secrets")]
            Login::Secret { secret, .. } => self.passwords.refused_secret(refused, secret, &request),
            Login::Token(token) => self.refused_token(refused, token, said.text()),
        }
    }

    fn refused_token(&self, refused: Error, token: &IamToken, said: &str) -> Error {
        let is_told =
            refused.diagnosis().first().is_some_and(|cause| cause.code() != Cause::PASSWORD_REFUSED);
        if is_told || !refused.is_login() {
            return refused;
        }
        let (target, now) = (token.request(), self.passwords.clock().now());
        let mut facts = Facts::new(target, (self.request.host(), self.request.port()), self.engine);
        if self.engine == Engine::Postgres {
            facts.asked = Asked::of_postgres(target, &refused);
        }
        facts.answer = said.to_owned();
        facts.access_key_id = token.access_key_id();
        facts.credentials_left = Some(token.expires_at().duration_since(now).unwrap_or_default());
        let age = now.duration_since(token.signed_at()).unwrap_or_default().as_secs();
        let message = format!("{}; the token was signed {age} s ago for {target}", refused.message());
        let causes = facts.causes();
        refused.with_message(message).with_diagnosis(causes)
    }
}

/// Returns the hint of a PostgreSQL server, and the routine of its source.
#[cfg(feature = "postgres")]
fn details(answer: &dyn DatabaseError) -> (Option<&str>, Option<&str>) {
    let answer = answer.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    answer.map_or((None, None), |answer| (answer.hint(), answer.routine()))
}

#[cfg(not(feature = "postgres"))]
fn details(_: &dyn DatabaseError) -> (Option<&str>, Option<&str>) {
    (None, None)
}
