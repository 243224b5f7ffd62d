//! The error that a command prints.

use std::{error::Error, fmt, process::ExitCode};

/// The exit code of usage errors and wrong values, the same as clap's.
pub(crate) const USAGE: u8 = 2;

/// Says why a command failed: one clause with the remedy, and the causes beneath it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// What to check, the likeliest first.
    hints: Vec<String>,
    exit_code: u8,
}

impl Failure {
    /// Creates a failure with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hints: Vec::new(), exit_code: 1 }
    }

    /// Creates the failure of a wrong value or combination of arguments, with exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).with_exit_code(USAGE)
    }

    /// Adds the cause, which is printed on a line of its own.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn with_exit_code(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Adds things to check, the likeliest first; they are printed as a numbered list.
    #[cfg(unix)]
    pub(crate) fn with_hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }
}

impl From<wrapper_core::Error> for Failure {
    fn from(error: wrapper_core::Error) -> Self {
        Self {
            message: error.to_string(),
            source: error.source().map(described),
            hints: Vec::new(),
            exit_code: 1,
        }
    }
}

impl From<iam_token::Error> for Failure {
    fn from(error: iam_token::Error) -> Self {
        Self {
            message: error.to_string(),
            source: error.source().map(described),
            hints: Vec::new(),
            exit_code: 1,
        }
    }
}

/// Converts a borrowed error with its causes into an owned one that has their whole text.
fn described(error: &(dyn Error + 'static)) -> Box<dyn Error + Send + Sync> {
    chain(error).into()
}

/// Returns an error's text and those of its causes, joined by colons; a cause that repeats what is
/// already there is left out.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
