//! Text that crosses a trust boundary, and names that a person may have meant.

mod secret_forms;

use secret_forms::Secret;

/// The most of a server's text that is shown, in bytes.
const SERVER_TEXT_LIMIT: usize = 512;

/// Replaces a password in a server's text.
const BLANK: &str = "[password]";

/// Escapes what could make a terminal show something else than the text: control characters, the ends of lines and
/// invisible marks, such as those that turn the direction of writing.
pub fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|character| push_legible(&mut out, character));
    out
}

fn push_legible(out: &mut String, character: char) {
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

/// Makes a server's text safe to print: secrets blanked out, the rest [`legible`], at most 512 bytes.
///
/// A secret is found as it is, with any of its characters escaped for a URL, JSON, HTML or a debugger, in
/// hexadecimal, in base64, and cut off by the end of the text.
pub fn printable<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.is_empty()).map(Secret::new).collect();
    let mut out = String::new();
    let mut rest = text;
    let mut before = None;
    while let Some(character) = rest.chars().next() {
        let start = out.len();
        let found = secrets.iter().filter_map(|secret| secret.length_at(rest, before)).max();
        match found {
            Some(length) => {
                out.push_str(BLANK);
                before = rest[..length].chars().next_back();
                rest = &rest[length..];
            }
            None => {
                push_legible(&mut out, character);
                before = Some(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        if out.len() > SERVER_TEXT_LIMIT {
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

/// Whether text looks like the name of a parameter, host or plugin, so that it may stand in a message: what failed to
/// parse may be a password.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A value for a message, in quotes if it looks like a name; else its length alone.
pub(crate) fn shown(value: &str) -> String {
    match value.chars().count() {
        0 => "empty text".to_owned(),
        _ if is_name(value) => format!("`{value}`"),
        count => format!("the given text of {count} characters"),
    }
}

/// A path, if the text looks like one: text that was meant for another place may hold a password.
pub(crate) fn shown_path(path: &str) -> String {
    let is_path = path.chars().all(|c| c.is_alphanumeric() || "/\\._-~ ".contains(c) || c == ':');
    let is_short = path.len() <= 256 && path.split(['/', '\\']).all(|piece| piece.len() <= 64);
    let is_drive = path.match_indices(':').all(|(at, _)| at == 1);
    if is_path && is_short && is_drive { format!("`{path}`") } else { "a file".to_owned() }
}

/// Encodes every byte but RFC 3986's unreserved characters, for a value in a URL.
pub fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Decodes `%XX`; what is no such escape stays as it is, as the drivers read it.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |index: usize| tail.get(index).and_then(|&byte| char::from(byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits fit a byte.
                out.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// Finds the name that was most likely meant, if one is near enough to be worth naming.
///
/// Case, underscores and hyphens do not count, so that `iam_region` leads to `iamRegion`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(wanted.len()) / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Vec<char> {
    // Longer names than any parameter's would only cost time.
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

/// The optimal string alignment distance: insertions, deletions, substitutions and neighbours swapped.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_through_typos_case_and_underscores() {
        let known = ["iamHost", "iamRegion", "password", "iamTokenExpiration"];

        assert_eq!(nearest("passwrod", known), Some("password"));
        assert_eq!(nearest("iam_region", known), Some("iamRegion"));
        assert_eq!(nearest("IAMHOST", known), Some("iamHost"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text() {
        assert_eq!(legible("jane \u{1b}[2J\n\u{9b}1m"), r"jane \u{1b}[2J\n\u{9b}1m");
        assert_eq!(legible("a\u{202e}b\u{2028}c"), r"a\u{202e}b\u{2028}c");
        assert_eq!(legible("名前 ü `x`"), "名前 ü `x`");
        assert_eq!(printable("\u{202e}x", None), r"\u{202e}x");
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

    #[test]
    fn stray_percent_signs_stay() {
        assert_eq!(percent_decoded("a%20b%2"), b"a b%2");
        assert_eq!(percent_decoded("%%41%zz"), b"%A%zz");
    }
}
