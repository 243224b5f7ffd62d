//! Conversion of the driver's errors.

use std::{error::Error as _, io};

use tokio_postgres::error::DbError;
use wrapper_adapter::{LoginAnswer, Roots, TlsFailure, explain_tls_failure};
use wrapper_core::{
    Cause, ConnectRequest, Engine, Error, ErrorKind, ServerError, adapter::Phase, text::sanitize_server_text,
};

/// The driver's text for every answer to its request for TLS but `S`.
const NO_TLS: &str = "server does not support TLS";

/// Texts of OpenSSL and rustls for bytes that are not TLS.
const NOT_TLS: &[&str] = &["wrong version number", "packet length too long", "corrupt message"];

/// Turns an error of the driver's connect into ours.
///
/// An answer of the server is kept as sanitized text, not as the driver's error: that prints it
/// verbatim, and a server may repeat the password.
pub(crate) fn connect_error(error: tokio_postgres::Error, request: &ConnectRequest, roots: &Roots) -> Error {
    if let Some(ours) = Error::find(&error) {
        return ours.clone();
    }
    if let Some(answer) = error.as_db_error() {
        return refused(answer, request);
    }
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    if source == NO_TLS {
        return explain_tls_failure(TlsFailure::NotOffered, request.tls_name(), roots);
    }
    let place = request.address_label();
    // The driver asks for one only after the server did, so nothing was refused yet.
    if source == "password missing" {
        let message = format!("{place} asks for a password, but none is configured");
        let cause = Cause::new(Cause::PASSWORD_MISSING, "no password is configured", "add one");
        return Error::new(ErrorKind::Configuration, message).with_diagnosis([cause]);
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    // The driver makes its own timeout; the operating system's has a number.
    let is_of_system = io.is_some_and(|io| io.raw_os_error().is_some());
    let (kind, message) = match (io.map(io::Error::kind), request.progress().phase()) {
        // The driver makes this error itself, once it has asked a server for its role.
        (Some(io::ErrorKind::PermissionDenied), Phase::Login) => {
            (ErrorKind::Connect, format!("{place} is not what `target_session_attrs` asks for ({source})"))
        }
        (Some(io::ErrorKind::TimedOut), Phase::Dial) if !is_of_system => {
            (ErrorKind::Timeout, format!("{place} did not answer within `connect_timeout`"))
        }
        (Some(io::ErrorKind::TimedOut), phase) => (
            ErrorKind::Timeout,
            format!("{place} did not answer while {phase}: the operating system gave up"),
        ),
        (Some(io::ErrorKind::ConnectionRefused), Phase::Dial) => {
            (ErrorKind::Connect, format!("nothing listens on {place}: check host and port"))
        }
        (Some(_), Phase::Dial) => (ErrorKind::Connect, format!("could not open a TCP connection to {place}")),
        (Some(_), phase) => (ErrorKind::Connect, closed(&place, phase)),
        (None, phase) if error.is_closed() => (ErrorKind::Connect, closed(&place, phase)),
        // The driver's text may quote the server's, as in the last message of SCRAM.
        (None, _) => {
            let text = sanitize_server_text(&format!("{error}: {source}"), request.secrets());
            let message = format!("the driver could not connect to {place}");
            return Error::new(ErrorKind::Driver, message).with_source(text);
        }
    };
    Error::new(kind, message).with_source(error)
}

fn closed(place: &str, phase: Phase) -> String {
    let hint = match phase {
        Phase::Login => "it may be restarting or at a limit, which its log tells",
        _ => "check that host and port lead to the database itself, and that it is not restarting",
    };
    format!("{place} closed the connection while {phase}: {hint}")
}

/// Returns whether the server may not be PostgreSQL: it declines TLS, or its answer to the
/// handshake is not TLS, as after the `S` of an SSH server.
pub(crate) fn may_be_other_service(error: &tokio_postgres::Error) -> bool {
    if let Some(ours) = Error::find(error) {
        let why = ours.source().map(|source| source.to_string().to_lowercase()).unwrap_or_default();
        return ours.kind() == ErrorKind::Tls && NOT_TLS.iter().any(|words| why.contains(words));
    }
    error.source().is_some_and(|source| source.to_string() == NO_TLS)
}

fn refused(answer: &DbError, request: &ConnectRequest) -> Error {
    let code = answer.code().code();
    let text = match answer.hint() {
        Some(hint) => format!("{} ({hint})", answer.message()),
        None => answer.message().to_owned(),
    };
    let said = ServerError::new(code, &text, request.secrets());
    let answer = LoginAnswer::new(Engine::Postgres, code, answer.message())
        .with_hint(answer.hint())
        .with_routine(answer.routine());
    answer.refused(said, request)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio_postgres::{Config, NoTls, config::SslMode};

    use super::*;

    /// Linux's number of "connection timed out".
    const ETIMEDOUT: i32 = 110;

    /// A stream that fails with an error of the system.
    struct TimedOut;

    impl AsyncRead for TimedOut {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::from_raw_os_error(ETIMEDOUT)))
        }
    }

    impl AsyncWrite for TimedOut {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::Error::from_raw_os_error(ETIMEDOUT)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn timeout_of_the_operating_system_is_not_the_drivers() {
        let request = ConnectRequest::new("db.example", 5432, "jane");
        let mut config = Config::new();
        config.user("jane").ssl_mode(SslMode::Disable);
        for (phase, says) in
            [(Phase::Dial, "opening the TCP connection"), (Phase::Tls, "in the TLS handshake")]
        {
            request.progress().enter(phase);
            let failed = config.connect_raw(TimedOut, NoTls).await.map(drop).expect_err("fails");

            let error = connect_error(failed, &request, &Roots::system());

            assert_eq!(error.kind(), ErrorKind::Timeout);
            let expected =
                format!("`db.example:5432` did not answer while {says}: the operating system gave up");
            assert_eq!(error.to_string(), expected);
        }
    }
}
