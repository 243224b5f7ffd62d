//! Where text goes: results to standard output, errors to standard error.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style as Ansi};
use wrapper_core::text::escape_control;

use crate::failure::{Failure, chain};

/// Writes to standard output; a closed pipe is not a failure.
///
/// Colours are kept for terminals that support them, unless NO_COLOR is set
/// (<https://no-color.org>).
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = anstream::AutoStream::auto(io::stdout().lock());
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("failed to write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Prints a failure with its causes.
pub(crate) fn print_error(failure: &Failure) {
    let message = escape_control(&failure.to_string());
    print_note(&format!("{} {message}", Style::Bad.paint("error:")));
    if let Some(cause) = failure.source() {
        print_note(&format!("  because: {}", escape_control(&chain(cause))));
    }
    for (index, hint) in failure.hints().iter().enumerate() {
        print_note(&format!("  {}. {}", index + 1, escape_control(hint)));
    }
}

/// Writes a line to standard error.
pub(crate) fn print_note(line: &str) {
    // A closed standard error leaves no place to report that.
    let _ = writeln!(anstream::AutoStream::auto(io::stderr().lock()), "{line}");
}

/// Returns whether results go to a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether a line on standard output can be redrawn.
pub(crate) fn can_be_redrawn() -> bool {
    is_terminal() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Clears the current line of standard output, where [`can_be_redrawn`] allows it.
///
/// Blanks work on every terminal, also on a Windows console without escape sequences.
pub(crate) fn clear_line(width: usize) {
    let mut output = io::stdout().lock();
    // The next line reports the failure if nothing can be written.
    let _ = write!(output, "\r{:width$}\r", "").and_then(|()| output.flush());
}

/// The width of a terminal that does not report one.
const USUAL_WIDTH: usize = 80;

/// Returns the columns of the terminal that results go to; `None` for a pipe or a file, whose
/// reader searches whole lines.
fn width() -> Option<usize> {
    if !is_terminal() {
        return None;
    }
    // Editors, serial lines and some containers have terminals whose size is 0.
    let reported = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let variable = || env::var("COLUMNS").ok()?.parse().ok();
    let is_width = |width: &usize| *width > 0;
    Some(reported.filter(is_width).or_else(|| variable().filter(is_width)).unwrap_or(USUAL_WIDTH))
}

/// Wraps text at the width of the terminal, between words; all lines but the first are indented.
///
/// Text within backticks may be a command to copy, and stays on one line.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    match width() {
        Some(width) => wrapped_to(text, indent, width),
        None => text.to_owned(),
    }
}

fn wrapped_to(text: &str, indent: usize, width: usize) -> String {
    // Narrower columns read worse than lines broken by the terminal.
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::new();
    let mut used = 0;
    for word in words(text) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = 0;
        } else if !out.is_empty() {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

/// Splits text at the spaces outside of backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character| {
        is_quoted ^= character == '`';
        character == ' ' && !is_quoted
    })
}

/// Returns the first few of a list, and how many more there are.
pub(crate) fn listed(items: &[String], most: usize) -> String {
    match items.len().checked_sub(most) {
        None | Some(0) => items.join(", "),
        Some(more) => format!("{} and {more} more", items[..most].join(", ")),
    }
}

/// The meaning of a word, which decides its colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bad,
    Faint,
    Good,
    Odd,
}

impl Style {
    /// Colours a text; [`print()`] and [`print_note`] strip colours where they are not wanted.
    pub(crate) fn paint(self, text: &str) -> String {
        let style = match self {
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Faint => Ansi::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Odd => AnsiColor::Yellow.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped_to("one two three four five", 2, 22), "one two three four\n  five");
        assert_eq!(wrapped_to("one", 2, 22), "one");
        let long = "a".repeat(30);
        assert_eq!(wrapped_to(&format!("x {long} y"), 2, 22), format!("x\n  {long}\n  y"));
    }

    #[test]
    fn quoted_text_stays_on_one_line() {
        let quoted = "`rds-iam doctor --sts host=db`";
        assert_eq!(wrapped_to(&format!("run {quoted} again"), 2, 22), format!("run\n  {quoted}\n  again"));
    }

    #[test]
    fn long_list_is_truncated_with_a_count() {
        let items: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();

        assert_eq!(listed(&items, 3), "a, b, c");
        assert_eq!(listed(&items, 2), "a, b and 1 more");
        assert_eq!(listed(&[], 2), "");
    }
}
