//! The error of a connect, and the kinds that callers match on.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{Cause, text::sanitize_server_text};

/// As many causes as people read.
const SHOWN_CAUSES: usize = 3;

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// Describes why a connector could not be built or a connection not be opened.
///
/// It clones cheaply, so that all tasks that waited for one attempt get the same error. `{}` is one
/// lower-case clause that names the offending value (never a secret one) and ends with the
/// likeliest cause, where causes are known; the text of the server or the driver is only in
/// [`source`](StdError::source). `{:#}` and `{:?}` show that too, and the first three causes with
/// their remedies, a line each.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    stale_password: bool,
    diagnosis: Vec<Cause>,
}

/// Tells the kinds of failure apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A parameter, a combination of parameters or the server's access rules are wrong; trying
    /// again does not help.
    Configuration,
    /// The TCP connection could not be opened, or was lost.
    Connect,
    /// No credentials to sign with.
    Credentials(CredentialsFailure),
    /// The driver failed in a way that has no kind of its own.
    Driver,
    /// A host name is invalid, or of a kind that cannot be used.
    Host,
    /// The server refused the user or the password.
    Login,
    /// A region is missing or malformed.
    Region,
    /// The host name could not be resolved.
    Resolve,
    /// The server limits logins at present.
    Throttled,
    /// The time for the whole connect, or for one address of it, ran out.
    Timeout,
    /// The server does not offer TLS, or its certificate could not be verified.
    Tls,
    /// The token could not be signed.
    Token,
    /// The server is not ready at present; a later attempt may succeed.
    Transient,
    /// The connection leads to an instance of another role than the one that is expected, such as a
    /// reader after a failover.
    WrongInstance,
}

/// The reason for missing credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsFailure {
    /// The credentials have expired.
    Expired,
    /// The configured source failed.
    Failed,
    /// No source is configured.
    NotConfigured,
    /// The source did not answer in time.
    TimedOut,
}

impl Error {
    /// Creates an error of a kind, for plugins and driver adapters.
    ///
    /// The message should be one lower-case clause without a period and must not repeat the cause's
    /// text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Arc::new(Inner { kind, message, source: None, stale_password: false, diagnosis: Vec::new() }))
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(source.into()));
        self
    }

    /// Marks a refused login that a newer password may mend.
    #[must_use]
    pub fn with_stale_password(mut self) -> Self {
        Arc::make_mut(&mut self.0).stale_password = true;
        self
    }

    /// Replaces the likely causes, the likeliest first.
    #[must_use]
    pub fn with_diagnosis(mut self, causes: impl IntoIterator<Item = Cause>) -> Self {
        Arc::make_mut(&mut self.0).diagnosis = causes.into_iter().collect();
        self
    }

    /// Replaces the message and keeps kind, causes and marks.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).message = message.into();
        self
    }

    /// Returns the message without the likeliest cause, for a longer message that contains it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the likely causes with their remedies, the likeliest first; empty where the message
    /// says it all.
    pub fn diagnosis(&self) -> &[Cause] {
        &self.0.diagnosis
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the server refused the user or the password.
    pub fn is_login(&self) -> bool {
        self.0.kind == ErrorKind::Login
    }

    /// Returns whether the server limits logins for now.
    pub fn is_throttled(&self) -> bool {
        self.0.kind == ErrorKind::Throttled
    }

    /// Returns whether there are no credentials, which no other host or address would change.
    pub fn is_of_credentials(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Credentials(_))
    }

    /// Returns whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Connect
                | ErrorKind::Credentials(CredentialsFailure::TimedOut)
                | ErrorKind::Resolve
                | ErrorKind::Throttled
                | ErrorKind::Timeout
                | ErrorKind::Transient
                | ErrorKind::WrongInstance
        )
    }

    /// Returns whether this is a refused login that may come from a password that has become stale,
    /// so that one more try with a new password makes sense.
    pub fn may_be_stale_password(&self) -> bool {
        self.0.stale_password
    }

    /// Returns the server's answer, if it was the server that refused.
    pub fn server(&self) -> Option<&ServerError> {
        ServerError::find(self)
    }

    /// Finds our error in the chain of causes of any error, such as the one that a pool returns.
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Error>() {
                return Some(found);
            }
            // An `io::Error` made by `io::Error::other` hides its payload from `source`.
            let payload = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = payload.map(|payload| payload as &(dyn StdError + 'static)).or_else(|| error.source());
        }
        None
    }
}

impl Error {
    /// Shows the message, the chain of sources and the first causes, a line each.
    fn fmt_in_full(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut said = vec![self.0.message.clone()];
        let mut next = self.source();
        while let Some(error) = next {
            // Drivers tend to repeat their cause's text in their own.
            let text = error.to_string();
            if !said.iter().any(|before| before.contains(&text)) {
                write!(f, "\n  {text}")?;
                said.push(text);
            }
            next = error.source();
        }
        for (index, cause) in self.0.diagnosis.iter().take(SHOWN_CAUSES).enumerate() {
            write!(f, "\n  {}. {cause}", index + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_in_full(f);
        }
        f.write_str(&self.0.message)?;
        match self.0.diagnosis.first() {
            Some(cause) => write!(f, "; check first: {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.0.kind)?;
        self.fmt_in_full(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Holds the error that a database server answered.
///
/// The text comes from beyond the trust boundary: control characters are escaped, it is cut after
/// 512 bytes, and a password that the server repeats is blanked out. The driver's own error is not
/// kept, because it prints the text as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    code: String,
    text: String,
}

impl ServerError {
    /// Keeps a server's code (an SQLSTATE, or MySQL's error number) and text, made safe to print.
    ///
    /// `secrets` are blanked out in it: pass the request's
    /// [`secrets`](crate::ConnectRequest::secrets).
    pub fn new<'a>(code: impl fmt::Display, text: &str, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets: Vec<_> = secrets.into_iter().collect();
        let code = sanitize_server_text(&code.to_string(), secrets.iter().copied());
        Self { code, text: sanitize_server_text(text, secrets) }
    }

    /// Returns the SQLSTATE, or MySQL's error number.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the server's message, made safe to print.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn find(error: &Error) -> Option<&Self> {
        let mut next = error.source();
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<ServerError>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}: {}", self.code, self.text)
    }
}

impl StdError for ServerError {}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn error_is_found_behind_foreign_errors() {
        let ours = Error::new(ErrorKind::Login, "refused");
        let carried = io::Error::other(io::Error::other(ours));

        let found = Error::find(&carried).expect("our error lies in the chain");

        assert_eq!(found.kind(), ErrorKind::Login);
        assert!(Error::find(&io::Error::other("else")).is_none());
    }

    #[test]
    fn marks_and_cause_survive_a_new_message() {
        let error = Error::new(ErrorKind::Login, "a").with_stale_password().with_source("why");

        let error = error.clone().with_message("b");

        assert!(error.may_be_stale_password());
        assert_eq!(error.to_string(), "b");
        assert_eq!(error.source().expect("kept").to_string(), "why");
    }

    #[test]
    fn text_ends_with_the_likeliest_cause_and_in_full_shows_three() {
        let causes = ["one", "two", "three", "four"].map(|code| Cause::new(code, code, "mend\nit"));
        let server = ServerError::new("28000", "no", None);
        let error = Error::new(ErrorKind::Login, "refused").with_source(server).with_diagnosis(causes);

        assert_eq!(error.to_string(), "refused; check first: one: mend\\nit");
        let full = "refused\n  the server answered 28000: no\n  1. one: mend\\nit\n  2. two: mend\\nit\n  \
                    3. three: mend\\nit";
        assert_eq!(format!("{error:#}"), full);
        assert_eq!(format!("{error:?}"), format!("Login: {full}"));
        assert_eq!(error.clone().diagnosis().len(), 4);
    }

    #[test]
    fn source_that_repeats_its_own_source_is_shown_once() {
        let error = Error::new(ErrorKind::Connect, "closed").with_source(io::Error::other("reset"));
        assert_eq!(format!("{error:#}"), "closed\n  reset");
    }

    #[test]
    fn server_error_blanks_an_echoed_password_in_every_form() {
        let error = ServerError::new("28000", "no: a/b=c&d, a%2Fb%3Dc%26d\u{7}\n", Some("a/b=c&d"));

        assert_eq!(error.text(), "no: [password], [password]\\u{7}\\n");
    }

    #[test]
    fn server_text_is_cut_at_a_character() {
        let error = ServerError::new("28000", &"é".repeat(400), None);

        assert!(error.text().len() <= 512 + '…'.len_utf8(), "{}", error.text().len());
        assert!(error.text().ends_with('…'));
    }

    #[test]
    fn error_crosses_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Error>();
    }
}
