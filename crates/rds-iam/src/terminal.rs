//! Where text goes: results to standard output, errors to standard error.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style as Ansi};
use wrapper_core::text::escape_control;

use crate::failure::{Failure, chain};

/// Writes to standard output; a reader that has gone away is no failure.
///
/// Colours reach a terminal that takes them, unless the person says no (<https://no-color.org>).
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = anstream::AutoStream::auto(io::stdout().lock());
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("standard output cannot be written to").because(error))
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
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(anstream::AutoStream::auto(io::stderr().lock()), "{line}");
}

/// Returns whether results go to a terminal.
pub(crate) fn shows_a_person() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether a line on standard output can be drawn anew.
pub(crate) fn can_be_redrawn() -> bool {
    shows_a_person() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Takes back the line that standard output is in, of which [`can_be_redrawn`] holds.
pub(crate) fn clear_line() {
    let mut output = io::stdout().lock();
    // The line that follows says so if nothing can be written.
    let _ = output.write_all(b"\r\x1b[K").and_then(|()| output.flush());
}

/// Returns the columns of the terminal that results go to.
fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    // A terminal that does not know its width says 0.
    Some(usize::from(width.0)).filter(|width| *width > 0)
}

/// Breaks text where a terminal ends, before words that would not fit; the lines after the first
/// begin at `indent`.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    match width() {
        Some(width) => wrapped_to(text, indent, width),
        None => text.to_owned(),
    }
}

fn wrapped_to(text: &str, indent: usize, width: usize) -> String {
    // Narrower columns than this read worse than lines that the terminal breaks.
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
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

/// Returns the first few of a list, and how many more there are.
pub(crate) fn listed(items: &[String], most: usize) -> String {
    match items.len().checked_sub(most) {
        None | Some(0) => items.join(", "),
        Some(more) => format!("{} and {more} more", items[..most].join(", ")),
    }
}

/// What a word means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bad,
    Faint,
    Good,
    Odd,
}

impl Style {
    /// Text in a colour, which [`print()`] and [`print_note`] take away where none is wanted.
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
    fn list_is_cut_with_a_count() {
        let items: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();

        assert_eq!(listed(&items, 3), "a, b, c");
        assert_eq!(listed(&items, 2), "a, b and 1 more");
        assert_eq!(listed(&[], 2), "");
    }
}
