//! The driver's errors by our kinds.

use std::{error::Error as _, io};

use tokio_postgres::error::DbError;
use wrapper_core::{
    ConnectRequest, Error, ErrorKind, Phase, Roots, ServerError, TlsFailure, explain_tls_failure,
};

use crate::login::{classify, remedy};

/// Turns an error of the driver's connect into ours.
///
/// An answer of the server is kept as text made safe, not as the driver's error: that prints what the server said as it
/// came, and a server may repeat the password.
pub(crate) fn connect_error(error: tokio_postgres::Error, request: &ConnectRequest, roots: &Roots) -> Error {
    if let Some(ours) = Error::find(&error) {
        return ours.clone();
    }
    if let Some(answer) = error.as_db_error() {
        return refused(answer, request);
    }
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    if source == "server does not support TLS" {
        return explain_tls_failure(TlsFailure::NotOffered, request.tls_name(), roots);
    }
    let place = request.place();
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    let (kind, message) = match (io, request.progress().phase()) {
        (Some(io::ErrorKind::PermissionDenied), Phase::Login) => {
            (ErrorKind::Connect, format!("{place} is not what `target_session_attrs` asks for ({source})"))
        }
        (Some(io::ErrorKind::TimedOut), _) => {
            (ErrorKind::Timeout, format!("{place} did not answer within `connect_timeout`"))
        }
        (Some(io::ErrorKind::ConnectionRefused), Phase::Dial) => {
            (ErrorKind::Connect, format!("nothing listens on {place}: check host and port"))
        }
        (Some(_), Phase::Dial) => (ErrorKind::Connect, format!("no tcp connection to {place}")),
        (Some(_), phase) => (ErrorKind::Connect, format!("{place} closed the connection while {phase}")),
        (None, phase) if error.is_closed() => {
            (ErrorKind::Connect, format!("{place} closed the connection while {phase}"))
        }
        (None, _) => (ErrorKind::Driver, format!("the driver could not connect to {place}")),
    };
    Error::new(kind, message).with_source(error)
}

fn refused(answer: &DbError, request: &ConnectRequest) -> Error {
    let code = answer.code().code();
    let (kind, stale) = classify(code, answer.message(), answer.hint());
    let text = match answer.hint() {
        Some(hint) => format!("{} ({hint})", answer.message()),
        None => answer.message().to_owned(),
    };
    let password = request.password().map(|password| password.as_secret());
    let source = ServerError::new(code, &text, password);
    let error = Error::refused(kind, source, request, remedy(kind, code));
    if stale { error.with_stale_password() } else { error }
}
