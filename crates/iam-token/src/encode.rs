//! Text forms of bytes: percent-encoding and hexadecimal.

/// Appends `value` percent-encoded by RFC 3986: everything but the unreserved characters is
/// escaped.
///
/// SigV4 signs exactly this form, with upper-case digits and `%20` for a space. Source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
pub(crate) fn push_percent_encoded(out: &mut String, value: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = value;
    // Most of a value is copied in runs: a session token has a thousand characters.
    while let Some(at) = rest.bytes().position(|byte| !UNRESERVED[usize::from(byte)]) {
        out.push_str(&rest[..at]);
        let escaped = rest[at..].chars().next().map_or(0, char::len_utf8);
        for byte in rest[at..at + escaped].bytes() {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        rest = &rest[at + escaped..];
    }
    out.push_str(rest);
}

/// Marks the bytes that need no escape.
static UNRESERVED: [bool; 256] = {
    let mut unreserved = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        unreserved[byte] = c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    unreserved
};

/// Returns `value` percent-encoded by RFC 3986.
pub(crate) fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    push_percent_encoded(&mut out, value);
    out
}

/// Returns a SHA-256 digest in lower-case hexadecimal.
pub(crate) fn hex(digest: &[u8; 32]) -> [u8; 64] {
    // Arithmetic instead of a table, so that the compiler does many digits at once.
    let digit = |nibble: u8| nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'9' - 1);
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 15);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreserved_characters_stay_bare() {
        assert_eq!(percent_encoded("AZaz09-._~"), "AZaz09-._~");
    }

    #[test]
    fn reserved_characters_are_escaped_in_upper_case() {
        assert_eq!(percent_encoded("a b+c/d=e&f%g*"), "a%20b%2Bc%2Fd%3De%26f%25g%2A");
    }

    #[test]
    fn unicode_is_escaped_byte_by_byte() {
        assert_eq!(percent_encoded("é€"), "%C3%A9%E2%82%AC");
    }

    #[test]
    fn digest_becomes_lower_case_hexadecimal() {
        let mut digest = [0; 32];
        digest[0] = 0xab;
        digest[31] = 0x0f;
        let text = hex(&digest);
        assert_eq!(&text[..4], b"ab00");
        assert_eq!(&text[60..], b"000f");
    }
}
