//! The characters and lengths allowed in a name, and the errors for everything else.

use std::fmt;
use std::net::Ipv6Addr;

use crate::error::{Error, ErrorKind};

#[cfg(test)]
mod tests;

/// The kind of name that a text is parsed as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ErrorContext {
    Host,
    Pattern,
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host name",
            Self::Pattern => "instance pattern",
        })
    }
}

impl ErrorContext {
    fn with_article(self) -> &'static str {
        match self {
            Self::Host => "a host name",
            Self::Pattern => "an instance pattern",
        }
    }
}

/// RFC 1123 does not allow underscores in host names, but names inside container networks have
/// them.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Checks the limits of RFC 1035, section 2.3.4: labels of 1 to 63 and a name of at most 253
/// characters (255 octets on the wire, less the first length and the root).
pub(crate) fn check_lengths(name: &str, context: ErrorContext) -> Result<(), Error> {
    if name.is_empty() {
        return Err(empty(context));
    }
    if name.len() > 253 {
        let message = format!("{context} of {} characters, at most 253 are allowed", name.len());
        return Err(Error::new(ErrorKind::Length, message));
    }
    for label in name.split('.') {
        if (1..=63).contains(&label.len()) {
            continue;
        }
        let message = match (label.is_empty(), cut(name)) {
            (true, name) => format!("empty label in {context} {name}, remove the extra dot"),
            (false, name) => {
                format!("label of {} characters in {context} {name}, at most 63 are allowed", label.len())
            }
        };
        return Err(Error::new(ErrorKind::Label, message));
    }
    Ok(())
}

/// Quotes a text for a message if it consists of name characters; other text is never repeated.
pub(crate) fn shown(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(is_name_byte)).then(|| cut(text))
}

/// Returns an error for the piece of `text` that does not belong in a name.
///
/// It repeats nothing that may hold user info, a password or a query: neither the text nor what
/// follows a colon, unless that is a port number.
pub(crate) fn misplaced_piece(text: &str, context: ErrorContext) -> Error {
    if text.is_empty() {
        return empty(context);
    }
    // From the outside in: a URL also has colons, and a password may hold anything.
    url_piece(text, context)
        .or_else(|| odd_character(text, context))
        .or_else(|| address_piece(text, context))
        .or_else(|| misplaced_wildcard(text, context))
        .unwrap_or_else(|| punctuation(text, context))
}

fn empty(context: ErrorContext) -> Error {
    let example = match context {
        ErrorContext::Host => "db.cluster-abc123.us-east-2.rds.amazonaws.com",
        ErrorContext::Pattern => "?.abc123.us-east-2.rds.amazonaws.com",
    };
    Error::new(ErrorKind::Empty, format!("empty {context}, expected one such as `{example}`"))
}

fn url_piece(text: &str, context: ErrorContext) -> Option<Error> {
    let a_name = context.with_article();
    let (kind, message) = if let Some((scheme, _)) = text.split_once("://") {
        // Only well-known schemes are repeated: in `pw://x@host` the "scheme" is a part of the
        // password.
        let known = ["http", "https", "jdbc:mysql", "jdbc:postgresql", "mysql", "postgres", "postgresql"]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known));
        let url = known.map_or("URL".to_owned(), |scheme| format!("`{scheme}://` URL"));
        let rest = "keep only the name between `//` or `@` and the next `:` or `/`";
        (ErrorKind::Scheme, format!("found a {url} where {a_name} is expected, {rest}"))
    } else if text.contains('@') {
        let rest = "keep only what follows `@` and pass the user separately";
        (ErrorKind::UserInfo, format!("found user info before `@` in {a_name}, {rest}"))
    } else if let Some(slash) = text.chars().find(|c| matches!(c, '/' | '\\')) {
        let rest = "keep only the name before it and pass the database and options separately";
        (ErrorKind::Path, format!("found a path (`{slash}…`) in {a_name}, {rest}"))
    } else if text.split_once('?').is_some_and(|(_, query)| query.contains('=')) {
        let rest = "keep only the name before it and pass options separately";
        (ErrorKind::Path, format!("found a query (`?…=…`) in {a_name}, {rest}"))
    } else if text.contains('=') {
        let rest = "keep only the value of `host`";
        (ErrorKind::Setting, format!("found a `key=value` setting where {a_name} is expected, {rest}"))
    } else if text.contains(',') {
        (ErrorKind::List, format!("found a list of hosts (`,`) where {a_name} is expected, pass one"))
    } else {
        return None;
    };
    Some(Error::new(kind, message))
}

fn odd_character(text: &str, context: ErrorContext) -> Option<Error> {
    let a_name = context.with_article();
    let (at, odd) =
        text.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control() || !c.is_ascii())?;
    let (kind, what, remedy) = if odd.is_whitespace() {
        (ErrorKind::Whitespace, "whitespace", "remove it")
    } else if odd.is_control() {
        (ErrorKind::Character, "a control character", "remove it")
    } else {
        (ErrorKind::Character, "a non-ASCII character", "write the name in its `xn--` form")
    };
    let message = format!("found {what} (U+{:04X}) at byte {at} of {a_name}, {remedy}", u32::from(odd));
    Some(Error::new(kind, message))
}

fn address_piece(text: &str, context: ErrorContext) -> Option<Error> {
    let a_name = context.with_article();
    let is_ipv6 = |text: &str| text.trim_start_matches('[').parse::<Ipv6Addr>().is_ok();
    if text.split_once('%').is_some_and(|(address, _)| is_ipv6(address)) {
        let message = "found a zone id (`%…`) behind an IPv6 address, only the address alone is a host";
        return Some(Error::new(ErrorKind::ZoneId, message));
    }
    if !text.contains([':', '[', ']']) {
        return None;
    }
    if context == ErrorContext::Pattern && text.contains('?') {
        let message = "found a colon or a bracket in an instance pattern, only `:` and a port from 1 to \
                       65535 may follow the name";
        return Some(Error::new(ErrorKind::Port, message));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        let is_address = host.strip_suffix(']').is_some_and(is_ipv6);
        if is_address || host.bytes().all(|byte| is_name_byte(byte) || byte == b'?') {
            // What is no number may be the password of `user:password` and is not repeated.
            let message = match port_number(port).filter(|_| !host.is_empty()) {
                Some(port) => {
                    format!("found port {port} behind {} in {a_name}, pass it separately", cut(host))
                }
                None => format!("found a colon in {a_name}, a port is a number and passed separately"),
            };
            return Some(Error::new(ErrorKind::Port, message));
        }
    }
    Some(Error::new(
        ErrorKind::Ip,
        "malformed IPv6 address, expected one such as `2001:db8::1` or `[2001:db8::1]`",
    ))
}

fn misplaced_wildcard(text: &str, context: ErrorContext) -> Option<Error> {
    (text.contains('?') && context == ErrorContext::Host).then(|| {
        let message = "found `?` in a host name, only an instance pattern has it in place of an instance id";
        Error::new(ErrorKind::Placeholder, message)
    })
}

fn punctuation(text: &str, context: ErrorContext) -> Error {
    let a_name = context.with_article();
    let odd = text.char_indices().find(|&(_, c)| {
        !u8::try_from(c)
            .is_ok_and(|byte| is_name_byte(byte) || byte == b'?' && context == ErrorContext::Pattern)
    });
    let place = odd.map_or_else(String::new, |(at, c)| format!(" `{c}` at byte {at}"));
    let message =
        format!("found{place} in {a_name}, only letters, digits, hyphens, underscores and dots are allowed");
    Error::new(ErrorKind::Character, message)
}

/// Parses digits only: `u16::from_str` would accept `+80` too.
pub(crate) fn port_number(digits: &str) -> Option<u16> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|&port| port > 0)
}

/// Returns the value with this text, ignoring case.
pub(crate) fn one_of<T: Copy>(all: &[T], text_of: impl Fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|&value| text_of(value).eq_ignore_ascii_case(text))
}

pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
