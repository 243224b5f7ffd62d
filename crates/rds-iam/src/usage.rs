//! Errors in the arguments.

use std::env;

use crate::terminal;

/// Exits with the parser's error, without arguments that may hold a password.
pub(crate) fn refuse(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let arguments = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    terminal::print_note(blanked(&error.render().to_string(), arguments).trim_end());
    std::process::exit(error.exit_code())
}

/// Blanks the arguments in a text that are neither options nor plain words.
fn blanked(text: &str, arguments: impl Iterator<Item = String>) -> String {
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_address = |text: &str| text.chars().all(|c| c.is_ascii_digit() || ".:[]".contains(c));
    let is_plain = |text: &str| is_word(text) || is_address(text);
    let values = arguments.flat_map(|argument| match argument.split_once('=') {
        Some((option, value)) if option.starts_with("--") && is_plain(option) => vec![value.to_owned()],
        _ => vec![argument],
    });
    let mut values: Vec<_> = values.filter(|value| !is_plain(value)).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    // The parser puts a quote behind every argument that it repeats.
    values.iter().fold(text.to_owned(), |text, value| {
        ["'", "=", " "]
            .iter()
            .fold(text, |text, before| text.replace(&format!("{before}{value}'"), &format!("{before}…'")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_values_with_signs_are_not_shown() {
        let arguments = ["postgres://jane:geheim@h", "--pasword=ge:heim", "extra"];
        let text = "unexpected 'postgres://jane:geheim@h', '--pasword=ge:heim' and 'extra'";

        let blanked = blanked(text, arguments.iter().map(ToString::to_string));

        assert_eq!(blanked, "unexpected '…', '--pasword=…' and 'extra'");
    }
}
