//! Text that crosses a trust boundary.

mod secret_forms;

use secret_forms::Secret;

/// The most of a server's text that is shown, in bytes.
const SERVER_TEXT_LIMIT: usize = 512;

/// Replaces a password in a server's text.
const BLANK: &str = "[password]";

/// Escapes characters that could make a terminal show another text: control characters, line ends
/// and invisible marks, such as those that reverse the direction of writing.
pub fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|character| push_escaped(&mut out, character));
    out
}

fn push_escaped(out: &mut String, character: char) {
    let is_mark = matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    if character.is_control() || is_mark {
        out.extend(character.escape_default());
    } else {
        out.push(character);
    }
}

/// Makes a server's text safe to print: secrets blanked out, the rest [`escape_control`], at most
/// 512 bytes.
///
/// A secret is found as it is, with any of its characters escaped for a URL, JSON, HTML or a
/// debugger, in hexadecimal, in base64, and cut off by the end of the text.
pub fn sanitize_server_text<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.is_empty()).map(Secret::new).collect();
    let mut out = String::new();
    let mut rest = text;
    let mut before = None;
    while let Some(character) = rest.chars().next() {
        let start = out.len();
        // The longest match: a secret that begins like another must not leave its end behind.
        let found = secrets.iter().filter_map(|secret| secret.length_at(rest, before)).max();
        match found {
            Some(length) => {
                out.push_str(BLANK);
                before = rest[..length].chars().next_back();
                rest = &rest[length..];
            }
            None => {
                push_escaped(&mut out, character);
                before = Some(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        if out.len() > SERVER_TEXT_LIMIT {
            // Back by the whole last piece, so that no escape is cut in half.
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

/// Returns whether text looks like the name of a parameter, host or plugin and may be shown in a
/// message: text that failed to parse may be a password.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Returns a value for a message, in quotes if it looks like a name; else its length alone.
pub fn shown(value: &str) -> String {
    match value.chars().count() {
        0 => "empty text".to_owned(),
        _ if is_name(value) => format!("`{value}`"),
        count => format!("the given text of {count} characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text() {
        assert_eq!(escape_control("jane \u{1b}[2J\n\u{9b}1m"), r"jane \u{1b}[2J\n\u{9b}1m");
        assert_eq!(escape_control("a\u{202e}b\u{2028}c"), r"a\u{202e}b\u{2028}c");
        assert_eq!(escape_control("名前 ü `x`"), "名前 ü `x`");
        assert_eq!(sanitize_server_text("\u{202e}x", None), r"\u{202e}x");
    }

    #[test]
    fn only_names_are_shown() {
        for name in ["iamHost", "a.b-c_1"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "a b", "jane:pw", "pw@host", "/run", "é", "{x}", &"x".repeat(65)] {
            assert!(!is_name(text), "{text}");
        }
        assert_eq!(shown("no"), "`no`");
        assert_eq!(shown("jane:pw"), "the given text of 7 characters");
    }
}
