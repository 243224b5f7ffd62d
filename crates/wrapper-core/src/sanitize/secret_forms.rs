//! The forms in which a server may repeat a secret.

/// A shorter secret is blanked only as a whole word: to blank each `a` would give it away.
const SHORT: usize = 4;

/// Least number of bytes of a secret at the end of a text that count as a truncated secret.
const CUT_OFF: usize = 6;

/// An encoded form with fewer characters would be found by chance.
const LEAST_ENCODED: usize = 8;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Finds one secret in every encoded form.
pub(super) struct Secret<'a> {
    /// The secret itself, and the values in it: a token is a URL.
    raw: Vec<&'a str>,
    encoded: Vec<String>,
}

impl<'a> Secret<'a> {
    pub(super) fn new(secret: &'a str) -> Self {
        let values = secret.split('&').filter_map(|pair| pair.split_once('=').map(|(_, value)| value));
        let mut raw = vec![secret];
        // `X-Amz-Algorithm` and `X-Amz-Date` have 16; signature and session token are longer.
        raw.extend(values.filter(|value| value.len() > 16));
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
        let mut encoded = vec![hex.to_uppercase(), hex, list.join(", "), list.join(",")];
        // Base64 encodes three bytes at a time, and a secret may begin at any of them.
        for offset in 0..3 {
            let base64 = base64_inside(secret.as_bytes(), offset);
            encoded.push(base64.replace('+', "-").replace('/', "_"));
            encoded.push(base64);
        }
        encoded.retain(|form| form.len() >= LEAST_ENCODED);
        Self { raw, encoded }
    }

    /// Returns the length of the secret if `text` begins with it; `before` is the preceding
    /// character.
    pub(super) fn length_at(&self, text: &str, before: Option<char>) -> Option<usize> {
        let raw = self.raw.iter().filter_map(|secret| raw_at(text, secret, before));
        let encoded = self.encoded.iter().filter_map(|form| encoded_at(text, form));
        raw.chain(encoded).max()
    }
}

fn raw_at(text: &str, secret: &str, before: Option<char>) -> Option<usize> {
    // A doubled quote is one or two characters of the secret, and `&amp;` one or five: all readings
    // are followed.
    let mut ends = vec![0];
    for (index, character) in secret.char_indices() {
        if index >= CUT_OFF && ends.contains(&text.len()) {
            return Some(text.len());
        }
        let mut next = Vec::new();
        for end in ends {
            let rest = &text[end..];
            let raw = rest.starts_with(character).then_some(character.len_utf8());
            let lengths = [raw, doubled_at(rest, character), escaped_at(rest, character)];
            next.extend(lengths.into_iter().flatten().map(|length| end + length));
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    // The longest reading: to blank a character too many is better than one too few.
    let end = ends.into_iter().max()?;
    let is_part = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let is_in_a_word = is_part(before) || is_part(text[end..].chars().next());
    (secret.chars().count() >= SHORT || !is_in_a_word).then_some(end)
}

/// SQL doubles its quotes, and most languages double a backslash.
fn doubled_at(text: &str, character: char) -> Option<usize> {
    let rest = text.strip_prefix(character).filter(|_| matches!(character, '\'' | '"' | '\\'))?;
    rest.starts_with(character).then_some(2)
}

fn encoded_at(text: &str, form: &str) -> Option<usize> {
    match text.starts_with(form) {
        true => Some(form.len()),
        false => (text.len() >= LEAST_ENCODED && form.starts_with(text)).then_some(text.len()),
    }
}

/// Returns the length of one character at the beginning of a text, escaped in any usual way.
fn escaped_at(text: &str, character: char) -> Option<usize> {
    match text.as_bytes().first()? {
        b'+' if character == ' ' => Some(1),
        b'%' => percent_at(text, character),
        b'&' => html_at(text, character),
        b'\\' => backslash_at(text, character),
        _ => None,
    }
}

fn percent_at(text: &str, character: char) -> Option<usize> {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).bytes();
    let mut at = 0;
    for byte in bytes {
        let digits = text.get(at..at + 3)?.strip_prefix('%')?;
        // A percent sign that was escaped twice.
        let (digits, length) = match text.get(at + 1..at + 5).and_then(|twice| twice.strip_prefix("25")) {
            Some(digits) if byte != b'%' => (digits, 5),
            _ => (digits, 3),
        };
        if u8::from_str_radix(digits, 16).ok()? != byte {
            return None;
        }
        at += length;
    }
    Some(at)
}

fn html_at(text: &str, character: char) -> Option<usize> {
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let entity = text.get(1..end)?;
    let is_same = match entity {
        "amp" => character == '&',
        "lt" => character == '<',
        "gt" => character == '>',
        "quot" => character == '"',
        "apos" => character == '\'',
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            code == Ok(u32::from(character))
        }
    };
    is_same.then_some(end + 1)
}

fn backslash_at(text: &str, character: char) -> Option<usize> {
    let mut rest = text.chars().skip(1);
    let escape = rest.next()?;
    let code = |digits: Option<&str>| digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let (code, length) = match escape {
        'x' => (code(text.get(2..4))?, 4),
        'u' if text[2..].starts_with('{') => {
            let end = text.bytes().take(12).position(|byte| byte == b'}')?;
            (code(text.get(3..end))?, end + 1)
        }
        'u' => (code(text.get(2..6))?, 6),
        'n' => (u32::from('\n'), 2),
        'r' => (u32::from('\r'), 2),
        't' => (u32::from('\t'), 2),
        escape => (u32::from(escape), 1 + escape.len_utf8()),
    };
    (code == u32::from(character)).then_some(length)
}

/// Returns the characters of a base64 text that a secret alone decides if it begins at byte
/// `offset` of a group of three.
fn base64_inside(secret: &[u8], offset: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.iter().copied()).collect();
    let bit = |index: usize| bytes[index / 8] >> (7 - index % 8) & 1;
    let first = (offset * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    let sextet = |index: usize| (0..6).fold(0_u8, |value, low| value << 1 | bit(index * 6 + low));
    (first..end).map(|index| char::from(STANDARD[usize::from(sextet(index))])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sanitize_server_text;

    const SECRET: &str = r#"p@s/w"rd 'é\&x"#;

    fn percent_encoded() -> String {
        SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[track_caller]
    fn blanked(text: &str) {
        assert_eq!(sanitize_server_text(&format!("no {text} here"), [SECRET]), "no [password] here");
    }

    #[test]
    fn secret_is_found_in_every_form() {
        blanked(SECRET);
        blanked(&percent_encoded());
        blanked(&percent_encoded().to_lowercase());
        blanked(&percent_encoded().replace('%', "%25"));
        blanked(r#"p@s%2Fw%22rd+%27%C3%A9\&x"#);
        blanked(r#"p@s/w\"rd 'é\\&x"#);
        blanked(r#"p@s\/w\"rd 'é\\\u0026x"#);
        blanked(r#"p@s/w"rd ''é\&x"#);
        blanked(r"p@s/w&quot;rd &#39;é\&amp;x");
        blanked(&format!("{}", SECRET.escape_default()));
        blanked(&SECRET.bytes().map(|byte| format!("{byte:02X}")).collect::<String>());
        blanked(format!("{:?}", SECRET.as_bytes()).trim_matches(['[', ']']));
    }

    #[test]
    fn secret_is_found_in_base64_wherever_it_begins() {
        // The base64 of `jane:hunter2-hunter2`, `ane:…` and `ne:…`.
        for text in
            ["amFuZTpodW50ZXIyLWh1bnRlcjI=", "YW5lOmh1bnRlcjItaHVudGVyMg==", "bmU6aHVudGVyMi1odW50ZXIy"]
        {
            let shown = sanitize_server_text(text, ["hunter2-hunter2"]);
            assert!(shown.contains("[password]"), "{shown}");
        }
    }

    #[test]
    fn secret_that_is_cut_off_is_found() {
        assert_eq!(
            sanitize_server_text("bad password hunter2-hun", ["hunter2-hunter2"]),
            "bad password [password]"
        );
        assert_eq!(sanitize_server_text("bad password hunt", ["hunter2-hunter2"]), "bad password hunt");
    }

    #[test]
    fn all_secrets_are_blanked_and_values_in_a_token_too() {
        let token = "h:1/?Action=connect&X-Sig=0123456789abcdef0123";

        let shown = sanitize_server_text("a hunter2, 0123456789abcdef0123", ["hunter2", token]);

        assert_eq!(shown, "a [password], [password]");
    }

    #[test]
    fn short_secret_is_blanked_as_a_word() {
        assert_eq!(sanitize_server_text("a cat sat on 'a'", ["a"]), "[password] cat sat on '[password]'");
        assert_eq!(sanitize_server_text("denied", [""]), "denied");
    }
}
