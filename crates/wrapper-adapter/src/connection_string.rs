//! Splits the wrapper's parameters off a driver's connection string.
//!
//! The rest of the string reaches the driver byte for byte: nothing is parsed and rewritten.

use wrapper_core::{
    Error, ErrorKind, Result,
    text::{is_name, quoted_name},
};

use crate::percent_decoded;

mod form;
mod url;

pub use form::{ConnectionText, StringForm};
pub use url::{UrlParts, UserInfoEnd};

/// A connection string split in two: the wrapper's parameters, and the rest for the driver.
pub struct SplitParameters {
    /// The string for the driver.
    pub rest: String,
    /// The names and decoded values of the parameters, in their order.
    pub pairs: Vec<(String, String)>,
    /// The names that remain in the string for the driver.
    pub others: Vec<String>,
}

/// Splits parameters off a URL's query.
///
/// The query begins where tokio-postgres and libpq see it: after the first `@`, if there is one,
/// because a password may hold an unescaped `?`.
///
/// # Errors
///
/// A configuration error for a repeated name, a name without `=`, a value without a name, or a name
/// or value with control characters or invalid UTF-8; it shows a parameter's name if it looks like
/// one, never its value.
pub fn split_url(url: &str, is_ours: impl Fn(&str) -> bool) -> Result<SplitParameters> {
    let after_user = url.find('@').map_or(0, |at| at + 1);
    let Some(query) = url[after_user..].find('?').map(|mark| after_user + mark + 1) else {
        return Ok(SplitParameters { rest: url.to_owned(), pairs: Vec::new(), others: Vec::new() });
    };
    let mut names = Names::default();
    let mut pairs = Vec::new();
    let mut kept = Vec::new();
    let mut others = Vec::new();
    for pair in url[query..].split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(configuration("a parameter in the URL's query has no `=`: write name=value"));
        };
        if name.is_empty() {
            return Err(configuration("a value in the URL's query has no name: write name=value"));
        }
        let (name, raw) = (decoded("", name)?, value);
        let value = decoded(&name, value)?;
        names.add(&name)?;
        // A driver's value may hold separators as it likes; ours do not, so one of them is a slip.
        if is_ours(&name) {
            check_separators(&name, raw)?;
            pairs.push((name, value));
        } else {
            kept.push(pair);
            others.push(name);
        }
    }
    let mut rest = url[..query - 1].to_owned();
    if !kept.is_empty() {
        rest.push('?');
        rest.push_str(&kept.join("&"));
    }
    Ok(SplitParameters { rest, pairs, others })
}

/// Refuses a value of the wrapper that contains another pair, behind a `;` or a second `?` that was
/// written in place of `&`.
fn check_separators(name: &str, raw: &str) -> Result<()> {
    let Some((before, _)) = raw.split_once('=') else { return Ok(()) };
    match before.rfind([';', '?']).map(|at| before.as_bytes()[at]) {
        Some(b';') => {
            Err(configuration(&format!("`;` follows {} where `&` separates parameters", quoted_name(name))))
        }
        // A URL as a value has a query of its own.
        Some(_) if !before.contains("://") => Err(configuration(&format!(
            "a second `?` follows {} where `&` separates parameters",
            quoted_name(name)
        ))),
        _ => Ok(()),
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// Splits parameters off a `key=value` string in libpq's form: `host=a user='b c'`.
///
/// # Errors
///
/// As [`split_url`], and for an unclosed quote.
pub fn split_key_value(text: &str, is_ours: impl Fn(&str) -> bool) -> Result<SplitParameters> {
    let mut names = Names::default();
    let mut pairs = Vec::new();
    let mut kept = String::new();
    let mut others = Vec::new();
    let mut scanner = Scanner { text, at: 0 };
    while let Some(pair) = scanner.pair()? {
        checked(&pair.name, &pair.name)?;
        checked(&pair.name, &pair.value)?;
        names.add(&pair.name)?;
        if is_ours(&pair.name) {
            pairs.push((pair.name, pair.value));
        } else {
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(pair.source);
            others.push(pair.name);
        }
    }
    Ok(SplitParameters { rest: kept, pairs, others })
}

/// The names read so far, to find a repeated one; a string has a handful.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &str) -> Result<()> {
        if !name.is_empty() && self.0.iter().any(|seen| seen == name) {
            return Err(configuration(&format!("{} is given more than once", parameter(name))));
        }
        self.0.push(name.to_owned());
        Ok(())
    }
}

fn decoded(name: &str, text: &str) -> Result<String> {
    let text = percent_decoded(text).map_err(|_| {
        Error::new(ErrorKind::Configuration, format!("{} is not UTF-8 once it is decoded", quoted_name(name)))
    })?;
    checked(if name.is_empty() { &text } else { name }, &text)?;
    Ok(text)
}

fn checked(name: &str, text: &str) -> Result<()> {
    if text.contains(char::is_control) {
        Err(configuration(&format!("{} contains a control character", parameter(name))))
    } else {
        Ok(())
    }
}

fn parameter(name: &str) -> String {
    if is_name(name) { format!("parameter `{name}`") } else { "a parameter".to_owned() }
}

/// Reads `key = value` pairs by libpq's rules: blanks around `=` allowed, values in single quotes,
/// `\` escapes.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

struct Pair<'a> {
    name: String,
    value: String,
    source: &'a str,
}

impl<'a> Scanner<'a> {
    fn pair(&mut self) -> Result<Option<Pair<'a>>> {
        self.skip_blanks();
        if self.rest().is_empty() {
            return Ok(None);
        }
        let start = self.at;
        let length = self.rest().find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        self.skip_blanks();
        if self.next() != Some('=') {
            // This text may be a piece of a password that was not quoted.
            return Err(configuration(
                "the connection string is neither a URL nor `name=value` pairs: a name has no `=` (put \
                 values with blanks in single quotes)",
            ));
        }
        self.skip_blanks();
        let value = self.value(&name)?;
        Ok(Some(Pair { name, value, source: &self.text[start..self.at] }))
    }

    fn value(&mut self, name: &str) -> Result<String> {
        let quoted = self.rest().starts_with('\'');
        if quoted {
            self.next();
        }
        let mut value = String::new();
        loop {
            match self.rest().chars().next() {
                None if quoted => {
                    return Err(configuration(&format!(
                        "the quoted value of {} has no closing quote",
                        quoted_name(name)
                    )));
                }
                None => return Ok(value),
                Some(c) if !quoted && c.is_whitespace() => return Ok(value),
                Some('\'') if quoted => {
                    self.next();
                    return Ok(value);
                }
                Some('\\') => {
                    self.next();
                    value.extend(self.next());
                }
                Some(_) => value.extend(self.next()),
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next();
        self.at += next.map_or(0, char::len_utf8);
        next
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours(name: &str) -> bool {
        name.starts_with("iam") || name == "plugins"
    }

    #[track_caller]
    fn check(cut: Result<SplitParameters>, rest: &str, pairs: &[(&str, &str)]) {
        let cut = cut.expect("can be cut");
        assert_eq!(cut.rest, rest);
        let found: Vec<_> = cut.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, pairs);
    }

    #[track_caller]
    fn refused(cut: Result<SplitParameters>, message: &str) {
        assert_eq!(cut.err().expect("cannot be cut").to_string(), message);
    }

    #[test]
    fn url_keeps_the_rest_byte_for_byte() {
        check(
            split_url("postgres://u%40:p@h/db?options=-c%20a%3Db&plugins=iam&x=%zz", ours),
            "postgres://u%40:p@h/db?options=-c%20a%3Db&x=%zz",
            &[("plugins", "iam")],
        );
    }

    #[test]
    fn url_without_a_rest_loses_the_question_mark() {
        check(split_url("postgres://h?plugins=iam&", ours), "postgres://h", &[("plugins", "iam")]);
        check(split_url("postgres://h", ours), "postgres://h", &[]);
    }

    #[test]
    fn url_password_with_a_question_mark_is_no_query() {
        check(
            split_url("postgres://u:p?iam=x@h/db?iamHost=y", ours),
            "postgres://u:p?iam=x@h/db",
            &[("iamHost", "y")],
        );
    }

    #[test]
    fn url_names_are_decoded_before_they_are_judged() {
        check(split_url("postgres://h?%69amHost=%61", ours), "postgres://h", &[("iamHost", "a")]);
        refused(split_url("postgres://h?a=secret&%61=secret", ours), "parameter `a` is given more than once");
        refused(split_url("postgres://h?a=s%00cret", ours), "parameter `a` contains a control character");
        refused(split_url("postgres://h?a=%ff", ours), "`a` is not UTF-8 once it is decoded");
    }

    #[test]
    fn url_name_that_may_be_a_password_is_not_shown() {
        refused(
            split_url("postgres://h?hunter2", ours),
            "a parameter in the URL's query has no `=`: write name=value",
        );
        refused(
            split_url("postgres://h?=hunter2", ours),
            "a value in the URL's query has no name: write name=value",
        );
        refused(split_url("postgres://h?hunter!2=x&hunter!2=y", ours), "a parameter is given more than once");
        refused(
            split_url("postgres://h?plugins=iam;password=hunter2", ours),
            "`;` follows `plugins` where `&` separates parameters",
        );
    }

    #[test]
    fn key_value_respects_quotes_and_escapes() {
        check(
            split_key_value(r"host=h plugins = 'iam' password='a plugins=x \' b' iamHost=a\ b", ours),
            r"host=h password='a plugins=x \' b'",
            &[("plugins", "iam"), ("iamHost", "a b")],
        );
    }

    #[test]
    fn key_value_slips_are_named_without_values() {
        refused(
            split_key_value("password='hunter2", ours),
            "the quoted value of `password` has no closing quote",
        );
        refused(
            split_key_value("password=hunter2 more host=h", ours),
            "the connection string is neither a URL nor `name=value` pairs: a name has no `=` (put values \
             with blanks in single quotes)",
        );
        refused(split_key_value("a=1 a=2", ours), "parameter `a` is given more than once");
    }

    proptest! {
        #[test]
        fn cutting_never_panics_and_keeps_foreign_pairs(text in ".{0,60}") {
            if let Ok(cut) = split_key_value(&text, |_| false) {
                prop_assert!(cut.pairs.is_empty());
            }
            if let Ok(cut) = split_url(&text, |_| false) {
                prop_assert!(cut.pairs.is_empty() && cut.rest.len() <= text.len());
            }
        }

        #[test]
        fn quoted_values_come_back(value in "[ -~]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            let cut = split_key_value(&format!("a='x' iamHost='{quoted}' b=y"), ours)?;
            prop_assert_eq!(cut.rest, "a='x' b=y");
            prop_assert_eq!(&cut.pairs[0].1, &value);
        }
    }
}
