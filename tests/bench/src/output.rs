//! What a run prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures and errors are printed")]

use std::fmt::Display;

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

/// Prints a text as it is.
pub(crate) fn text(text: &str) {
    print!("{text}");
}

/// Prints an error on standard error.
pub(crate) fn error(error: impl Display) {
    eprintln!("error: {error}");
}
