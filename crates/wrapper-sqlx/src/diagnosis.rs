//! Errors of sqlx, explained with their likely causes.

use sqlx::error::DatabaseError;
use wrapper_adapter::{LoginAnswer, Roots, TlsFailure, explain_tls_failure};
use wrapper_core::{Cause, ConnectRequest, Engine, Error, ErrorKind, ServerError};
use wrapper_iam::{
    IamToken,
    diagnosis::{Asked, Facts},
    explain_tls,
};

use crate::{
    password_source::{Login, PasswordSource},
    session::code,
};

/// The text of sqlx for a server that declines its request for TLS.
const NO_TLS: &str = "server does not support TLS";

/// The facts about the pool's login, to explain an error by.
pub(crate) struct Known<'a> {
    /// Where the pool connects to.
    pub(crate) request: &'a ConnectRequest,
    pub(crate) engine: Engine,
    pub(crate) passwords: &'a PasswordSource,
    pub(crate) login: &'a Login,
    pub(crate) roots: &'a Roots,
    /// How many connections the pool has, and how many it may have.
    pub(crate) size: (u32, u32),
    /// Why there is no newer password.
    pub(crate) last_error: Option<&'a Error>,
}

impl Known<'_> {
    pub(crate) fn explain(&self, error: sqlx::Error) -> Error {
        // Of a check that opened a connection itself, explained there.
        if let Some(ours) = Error::find(&error) {
            return ours.clone();
        }
        if let Some(failure) = tls_failure(&error) {
            return handshake_failed(failure, error, self.request, self.roots);
        }
        let label = self.request.address_label();
        let failed = |kind, message: String| Error::new(kind, message);
        match error {
            sqlx::Error::Database(answer) => self.answered(&*answer),
            // A pool without a valid token times out as well, and only the refresher knows why.
            sqlx::Error::PoolTimedOut => match self.last_error {
                Some(last) => last.clone().with_message(format!("{error}: {}", last.message())),
                None => failed(ErrorKind::Timeout, timed_out(&label, self.size)).with_source(error),
            },
            sqlx::Error::Io(_) => {
                failed(ErrorKind::Connect, format!("no connection to {label}")).with_source(error)
            }
            error => failed(ErrorKind::Driver, format!("sqlx failed at {label}")).with_source(error),
        }
    }

    /// Interprets a server's answer by the shared table, and ranks the causes of a refused login.
    fn answered(&self, answer: &dyn DatabaseError) -> Error {
        let code = code(answer);
        let said = ServerError::new(&code, answer.message(), [self.login.password()]);
        let (hint, routine) = details(answer);
        let read =
            LoginAnswer::new(self.engine, &code, answer.message()).with_hint(hint).with_routine(routine);
        let request = self.login.request(self.request);
        let refused = read.refused(said.clone(), &request);
        // In no table of login answers: most likely a statement's, on a connection in use.
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
        // A clock that was set back makes the age zero, not an error.
        let age = now.duration_since(token.signed_at()).unwrap_or_default().as_secs();
        let message = format!("{}; the token was signed {age} s ago for {target}", refused.message());
        let causes = facts.causes();
        refused.with_message(message).with_diagnosis(causes)
    }
}

/// Returns the message for a pool that gave no connection: sqlx repeats a connect that is refused
/// until the time is over, and does not say so.
fn timed_out(label: &str, (size, max): (u32, u32)) -> String {
    let why = match size < max {
        true => format!("only {size} of {max} are open, so check that the server can be reached"),
        false => "are all of them in use?".to_owned(),
    };
    format!("the pool gave no connection to {label} in time: {why}")
}

/// Tells how a TLS handshake failed, if that is why a connect did.
pub(crate) fn tls_failure(error: &sqlx::Error) -> Option<TlsFailure> {
    match error {
        sqlx::Error::Tls(source) if source.to_string() == NO_TLS => Some(TlsFailure::NotOffered),
        sqlx::Error::Tls(source) => Some(TlsFailure::from_text(&format!("{source} {source:?}"))),
        // rustls packs its errors into those of the stream. Without a verdict on the certificate it
        // may be a session that broke later, which says nothing of the set-up.
        sqlx::Error::Io(error) => TlsFailure::from_rustls(error).filter(|it| *it != TlsFailure::Other),
        _ => None,
    }
}

/// Explains a failed handshake as the other adapters do.
pub(crate) fn handshake_failed(
    failure: TlsFailure,
    error: sqlx::Error,
    request: &ConnectRequest,
    roots: &Roots,
) -> Error {
    let name = request.tls_name();
    explain_tls(explain_tls_failure(failure, name, roots).with_source(error), name)
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

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{AlertDescription, CertificateError, InvalidMessage};

    use super::*;

    #[test]
    fn timeout_asks_for_users_of_a_full_pool_only() {
        assert!(timed_out("`h:1`", (8, 8)).ends_with("in time: are all of them in use?"));
        assert_eq!(
            timed_out("`h:1`", (1, 8)),
            "the pool gave no connection to `h:1` in time: only 1 of 8 are open, so check that the server \
             can be reached"
        );
    }

    #[test]
    fn broken_session_is_no_failed_handshake() {
        let of = |error: rustls::Error| {
            let error = sqlx::Error::Io(io::Error::new(io::ErrorKind::InvalidData, error));
            tls_failure(&error)
        };
        for error in [
            rustls::Error::General("broke".to_owned()),
            rustls::Error::DecryptError,
            rustls::Error::AlertReceived(AlertDescription::InternalError),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
        ] {
            assert_eq!(of(error.clone()), None, "{error}");
        }
        let refused = [
            (CertificateError::UnknownIssuer, TlsFailure::UnknownIssuer),
            (CertificateError::Expired, TlsFailure::Expired),
        ];
        for (error, failure) in refused {
            assert_eq!(of(error.into()), Some(failure));
        }
        assert_eq!(tls_failure(&sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())), None);
    }
}
