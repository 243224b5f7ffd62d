//! Where text goes: answers to standard output, complaints to standard error.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
};

use wrapper_core::escape_control;

use crate::failure::{Failure, chain};

/// Writes an answer to standard output; a reader that has gone away is no failure.
pub(crate) fn answer(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("standard output cannot be written to").because(error))
        }
        _ => Ok(()),
    }
}

/// Tells a failure with its causes.
pub(crate) fn complain(failure: &Failure) {
    let message = escape_control(&failure.to_string());
    note(&format!("{} {message}", Style::Bad.paint("error:", colours(&io::stderr()))));
    if let Some(cause) = failure.source() {
        note(&format!("  because: {}", escape_control(&chain(cause))));
    }
}

/// Writes a line to standard error.
pub(crate) fn note(line: &str) {
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether answers go to a terminal.
pub(crate) fn answers_a_person() -> bool {
    io::stdout().is_terminal()
}

/// Whether a stream takes colours: a terminal does, unless the person says no (<https://no-color.org>).
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
    pub(crate) fn paint(self, text: &str, colours: bool) -> String {
        let code = match self {
            Self::Bad => "1;31",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Odd => "33",
        };
        if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
