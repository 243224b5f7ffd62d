//! Conversion of the driver's errors.

use std::io;

#[cfg(feature = "native-tls")]
use mysql_async::TlsError;
use mysql_async::{DriverError, Error as MysqlError, IoError};
use wrapper_adapter::{LoginAnswer, Roots, TlsFailure, explain_tls_failure};
use wrapper_core::{
    Cause, ConnectRequest, Engine, Error, ErrorKind, ServerError, text::sanitize_server_text,
};

/// The driver's SQLSTATE for an answer without one: a server sends them only after the client's
/// login announces that it reads them.
const NO_SQLSTATE: &str = "HY000";

/// Texts of the driver for bytes that are not a packet, and for an incomplete one.
const MALFORMED_PACKET: &[&str] =
    &["Packet is larger than max_allowed_packet", "Packets out of sync", "bytes remaining on stream"];

/// Returns whether the server's certificate is not signed by a trusted root.
pub(crate) fn is_unknown_issuer(error: &MysqlError) -> bool {
    let failure = match error {
        MysqlError::Io(IoError::Tls(error)) => TlsFailure::from_text(&format!("{error} {error:?}")),
        #[cfg(feature = "rustls")]
        MysqlError::Io(IoError::Io(error)) if is_of_rustls(error) => {
            TlsFailure::from_text(&error.to_string())
        }
        _ => return false,
    };
    failure == TlsFailure::UnknownIssuer
}

/// Turns an error of the driver's connect into ours.
///
/// Where the driver's error quotes the server, only sanitized text is kept: a server may repeat the
/// password.
pub(crate) fn connect_error(error: MysqlError, request: &ConnectRequest, roots: &Roots) -> Error {
    match error {
        MysqlError::Server(answer) => refused(&answer, request),
        MysqlError::Io(IoError::Tls(error)) => {
            let failure = TlsFailure::from_text(&format!("{error} {error:?}"));
            let explained = explain_tls_failure(failure, request.tls_name(), roots);
            match error {
                // The driver's error would only say the same once more.
                #[cfg(feature = "native-tls")]
                TlsError::TlsError(error) => explained.with_source(error),
                error => explained.with_source(error),
            }
        }
        #[cfg(feature = "rustls")]
        MysqlError::Io(IoError::Io(error)) if is_of_rustls(&error) => {
            explain_tls_failure(TlsFailure::from_text(&error.to_string()), request.tls_name(), roots)
                .with_source(error)
        }
        MysqlError::Io(IoError::Io(ref io)) if is_malformed_packet(&error) => {
            let message = format!("{} is not a MySQL server: check host and port", request.address_label());
            Error::new(ErrorKind::Configuration, message).with_source(io.to_string())
        }
        MysqlError::Io(IoError::Io(error)) => io_error(error, request),
        MysqlError::Driver(DriverError::NoClientSslFlagFromServer) => {
            explain_tls_failure(TlsFailure::NotOffered, request.tls_name(), roots)
        }
        MysqlError::Driver(DriverError::CleartextPluginDisabled) => {
            let message =
                format!("{} asks for a cleartext password, so nothing was sent", request.address_label());
            let cause = Cause::new(
                Cause::PASSWORD_IN_CLEAR,
                "the user is identified with a plugin that needs the password in clear text",
                "add enable_cleartext_plugin=true and sslmode=verify-full, if that is intended",
            );
            Error::new(ErrorKind::Configuration, message).with_diagnosis([cause])
        }
        error => driver_error(&error.to_string(), request),
    }
}

/// Returns whether what the server sent is not a MySQL packet: the driver takes any four bytes
/// for a packet's length and number.
pub(crate) fn is_malformed_packet(error: &MysqlError) -> bool {
    match error {
        MysqlError::Io(IoError::Io(error)) => MALFORMED_PACKET.contains(&error.to_string().as_str()),
        _ => false,
    }
}

/// Returns the error for a panic of the driver, which some answers of a server cause.
pub(crate) fn panicked(request: &ConnectRequest) -> Error {
    let place = request.address_label();
    Error::new(ErrorKind::Driver, format!("the driver panicked on what {place} answered"))
}

fn refused(answer: &mysql_async::ServerError, request: &ConnectRequest) -> Error {
    let said = ServerError::new(answer.code, &answer.message, request.secrets());
    let code = answer.code.to_string();
    let read = LoginAnswer::new(Engine::Mysql, &code, &answer.message);
    let read = if answer.state == NO_SQLSTATE { read.before_login() } else { read };
    read.refused(said, request)
}

/// Returns whether a handshake failed: rustls packs its errors into those of the stream.
#[cfg(feature = "rustls")]
fn is_of_rustls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn io_error(error: io::Error, request: &ConnectRequest) -> Error {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData, InvalidInput,
        NotConnected, TimedOut, UnexpectedEof,
    };

    let place = request.address_label();
    let (kind, message) = match error.kind() {
        ConnectionRefused => (ErrorKind::Connect, format!("nothing listens on {place}: check host and port")),
        TimedOut => (ErrorKind::Timeout, format!("{place} did not answer in time")),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
            let message = format!(
                "{place} closed the connection before it was open: check that host and port lead to the \
                 database itself, and that it is not restarting"
            );
            (ErrorKind::Connect, message)
        }
        // The driver reports packets that it cannot read so, and may quote them.
        InvalidData | InvalidInput => return driver_error(&error.to_string(), request),
        _ => (ErrorKind::Connect, format!("could not open a TCP connection to {place}")),
    };
    Error::new(kind, message).with_source(error)
}

fn driver_error(text: &str, request: &ConnectRequest) -> Error {
    let message = format!("the driver could not connect to {}", request.address_label());
    Error::new(ErrorKind::Driver, message).with_source(sanitize_server_text(text, request.secrets()))
}
