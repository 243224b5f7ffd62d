//! Percent-coding, as URLs have it.

use std::str::Utf8Error;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes every byte but RFC 3986's unreserved characters, for a value in a URL.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decodes `%XX`; leaves malformed escapes unchanged, as the drivers do.
///
/// # Errors
///
/// If the decoded bytes are not UTF-8.
pub fn percent_decoded(text: &str) -> Result<String, Utf8Error> {
    percent_decode_str(text).decode_utf8().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_percent_signs_stay() {
        assert_eq!(percent_decoded("a%20b%2").as_deref(), Ok("a b%2"));
        assert_eq!(percent_decoded("%%41%zz").as_deref(), Ok("%A%zz"));
        assert!(percent_decoded("%C3").is_err());
    }

    #[test]
    fn text_of_any_bytes_comes_back() {
        let text = "AZaz09-._~ +/=&%é€\u{1f600}\n";

        let encoded = percent_encoded(text);

        assert_eq!(encoded, "AZaz09-._~%20%2B%2F%3D%26%25%C3%A9%E2%82%AC%F0%9F%98%80%0A");
        assert_eq!(percent_decoded(&encoded).as_deref(), Ok(text));
    }
}
