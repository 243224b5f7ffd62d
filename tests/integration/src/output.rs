//! Output for the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

/// Prints a line to the standard output.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints a line to the standard error.
pub(crate) fn error(text: &str) {
    eprintln!("{text}");
}
