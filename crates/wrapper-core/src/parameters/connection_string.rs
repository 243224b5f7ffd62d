//! Cutting our parameters out of a driver's connection string.
//!
//! The rest of the string reaches the driver byte for byte: nothing is parsed and written anew.

use crate::{Error, ErrorKind, Result, text::percent_decoded};

/// A connection string in two: the parameters asked for, and the string without them.
pub struct Cut {
    /// The string for the driver.
    pub rest: String,
    /// The names and decoded values that were cut out, in their order.
    pub pairs: Vec<(String, String)>,
}

/// Cuts parameters out of a URL's query.
///
/// The query begins where tokio-postgres and libpq see it: after the first `@`, if there is one, because a password may hold an
/// unescaped `?`.
///
/// # Errors
///
/// A configuration error for a name that stands twice, or a name or value with control characters or bytes that are
/// not UTF-8; it names the parameter, never its value.
pub fn cut_url(url: &str, is_ours: impl Fn(&str) -> bool) -> Result<Cut> {
    let after_user = url.find('@').map_or(0, |at| at + 1);
    let Some(query) = url[after_user..].find('?').map(|mark| after_user + mark + 1) else {
        return Ok(Cut { rest: url.to_owned(), pairs: Vec::new() });
    };
    let mut names = Names::default();
    let mut pairs = Vec::new();
    let mut kept = Vec::new();
    for pair in url[query..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("", name)?;
        let value = decoded(&name, value)?;
        names.add(&name)?;
        if is_ours(&name) {
            pairs.push((name, value));
        } else {
            kept.push(pair);
        }
    }
    let mut rest = url[..query - 1].to_owned();
    if kept.iter().any(|pair| !pair.is_empty()) {
        rest.push('?');
        rest.push_str(&kept.join("&"));
    }
    Ok(Cut { rest, pairs })
}

/// Cuts parameters out of a `key=value` string, as libpq writes them: `host=a user='b c'`.
///
/// # Errors
///
/// As [`cut_url`], and for a quote without an end or a name without `=`.
pub fn cut_key_value(text: &str, is_ours: impl Fn(&str) -> bool) -> Result<Cut> {
    let mut names = Names::default();
    let mut pairs = Vec::new();
    let mut kept = String::new();
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
        }
    }
    Ok(Cut { rest: kept, pairs })
}

/// The names seen so far; a string has a handful.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &str) -> Result<()> {
        if !name.is_empty() && self.0.iter().any(|seen| seen == name) {
            return Err(super::repeated(name));
        }
        self.0.push(name.to_owned());
        Ok(())
    }
}

fn decoded(name: &str, text: &str) -> Result<String> {
    let text = String::from_utf8(percent_decoded(text)).map_err(|_| {
        Error::new(ErrorKind::Configuration, format!("parameter `{name}` is not UTF-8 once it is decoded"))
    })?;
    checked(if name.is_empty() { &text } else { name }, &text)?;
    Ok(text)
}

fn checked(name: &str, text: &str) -> Result<()> {
    if text.contains(char::is_control) { Err(super::control_characters(name)) } else { Ok(()) }
}

/// Reads `key = value` pairs by libpq's rules: blanks around `=` allowed, values in single quotes, `\` escapes.
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
            // What stands here may be a piece of a password that was not quoted.
            return Err(Error::new(
                ErrorKind::Configuration,
                "this is neither a URL nor `name=value` pairs: a name has no `=` (values with blanks go into single quotes)",
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
                    return Err(Error::new(
                        ErrorKind::Configuration,
                        format!("the quoted value of `{name}` has no closing quote"),
                    ));
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
    fn check(cut: Result<Cut>, rest: &str, pairs: &[(&str, &str)]) {
        let cut = cut.expect("can be cut");
        assert_eq!(cut.rest, rest);
        let found: Vec<_> = cut.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, pairs);
    }

    #[track_caller]
    fn refused(cut: Result<Cut>, message: &str) {
        assert_eq!(cut.err().expect("cannot be cut").to_string(), message);
    }

    #[test]
    fn url_keeps_the_rest_byte_for_byte() {
        check(
            cut_url("postgres://u%40:p@h/db?options=-c%20a%3Db&plugins=iam&x=%zz", ours),
            "postgres://u%40:p@h/db?options=-c%20a%3Db&x=%zz",
            &[("plugins", "iam")],
        );
    }

    #[test]
    fn url_without_a_rest_loses_the_question_mark() {
        check(cut_url("postgres://h?plugins=iam&", ours), "postgres://h", &[("plugins", "iam")]);
        check(cut_url("postgres://h", ours), "postgres://h", &[]);
    }

    #[test]
    fn url_password_with_a_question_mark_is_no_query() {
        check(
            cut_url("postgres://u:p?iam=x@h/db?iamHost=y", ours),
            "postgres://u:p?iam=x@h/db",
            &[("iamHost", "y")],
        );
    }

    #[test]
    fn url_names_are_decoded_before_they_are_judged() {
        check(cut_url("postgres://h?%69amHost=%61", ours), "postgres://h", &[("iamHost", "a")]);
        refused(cut_url("postgres://h?a=secret&%61=secret", ours), "parameter `a` is given more than once");
        refused(cut_url("postgres://h?a=s%00cret", ours), "parameter `a` holds a control character");
        refused(cut_url("postgres://h?a=%ff", ours), "parameter `a` is not UTF-8 once it is decoded");
    }

    #[test]
    fn key_value_respects_quotes_and_escapes() {
        check(
            cut_key_value(r"host=h plugins = 'iam' password='a plugins=x \' b' iamHost=a\ b", ours),
            r"host=h password='a plugins=x \' b'",
            &[("plugins", "iam"), ("iamHost", "a b")],
        );
    }

    #[test]
    fn key_value_slips_are_named_without_values() {
        refused(
            cut_key_value("password='hunter2", ours),
            "the quoted value of `password` has no closing quote",
        );
        refused(
            cut_key_value("password=hunter2 more host=h", ours),
            "this is neither a URL nor `name=value` pairs: a name has no `=` (values with blanks go into single quotes)",
        );
        refused(cut_key_value("a=1 a=2", ours), "parameter `a` is given more than once");
    }

    proptest! {
        #[test]
        fn cutting_never_panics_and_keeps_foreign_pairs(text in ".{0,60}") {
            if let Ok(cut) = cut_key_value(&text, |_| false) {
                prop_assert!(cut.pairs.is_empty());
            }
            if let Ok(cut) = cut_url(&text, |_| false) {
                prop_assert!(text.starts_with(&cut.rest));
            }
        }

        #[test]
        fn quoted_values_come_back(value in "[ -~]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            let cut = cut_key_value(&format!("a='x' iamHost='{quoted}' b=y"), ours)?;
            prop_assert_eq!(cut.rest, "a='x' b=y");
            prop_assert_eq!(&cut.pairs[0].1, &value);
        }
    }
}
