//! The form of a connection string, URL or pairs, and errors for other text in its place.
//!
//! Other text may be or contain a password, so an error names its apparent form and shows no part
//! of it.

use wrapper_core::{Error, ErrorKind, Result};

/// Describes the connection strings that an adapter reads, by its engine and its URL schemes.
#[derive(Clone, Copy, Debug)]
pub struct StringForm {
    engine: &'static str,
    schemes: &'static [&'static str],
    takes_pairs: bool,
    takes_maps: bool,
}

/// A connection string without surrounding blanks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ConnectionText<'a> {
    /// `name=value` pairs.
    Pairs(&'a str),
    /// A URL of one of the schemes.
    Url(&'a str),
}

/// Schemes that may be shown in a message because they are never a password.
const FOREIGN_SCHEMES: &[&str] = &[
    "aurora",
    "cockroachdb",
    "file",
    "ftp",
    "http",
    "https",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "mssql",
    "mysql",
    "mysql2",
    "mysqls",
    "mysqlx",
    "odbc",
    "oracle",
    "pg",
    "pgsql",
    "postgis",
    "postgres",
    "postgresql",
    "psql",
    "rds",
    "redis",
    "rediss",
    "redshift",
    "sqlite",
    "sqlserver",
    "ssh",
    "tcp",
    "timescale",
    "unix",
];

/// The drivers that SQLAlchemy names behind a `+`.
const SQLALCHEMY: &[&str] = &["postgresql+", "postgres+", "mysql+", "mariadb+"];

const OPENING_QUOTES: &[char] = &['\'', '"', '`', '“', '”', '„', '‘', '’', '«', '»'];

impl StringForm {
    /// Creates the form for an engine's URLs with one of the schemes, the usual one first, and
    /// optionally `name=value` pairs.
    pub const fn new(engine: &'static str, schemes: &'static [&'static str], takes_pairs: bool) -> Self {
        Self { engine, schemes, takes_pairs, takes_maps: false }
    }

    /// Adds `from_map` as a remedy to messages, for an adapter that has it.
    #[must_use]
    pub const fn with_maps(mut self) -> Self {
        self.takes_maps = true;
        self
    }

    /// Returns an example URL for messages.
    pub fn example(&self) -> String {
        format!("{}://user@host/database", self.schemes.first().unwrap_or(&""))
    }

    /// Trims blanks, a byte order mark and one line break, and determines the form.
    ///
    /// # Errors
    ///
    /// A configuration error that names the apparent form of the text and shows no part of it.
    pub fn read<'a>(&self, text: &'a str) -> Result<ConnectionText<'a>> {
        let text = trimmed(text);
        let seems = |what: &str| {
            Err(Error::new(
                ErrorKind::Configuration,
                format!("the connection string {what}: write {}", self.example()),
            ))
        };
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let is_own = |scheme: &str| self.schemes.contains(&scheme);
        if let Some(what) = around(text) {
            return seems(what);
        }
        match scheme {
            Some(scheme) if is_own(scheme) => match inside(text) {
                Some(what) => seems(what),
                None => Ok(ConnectionText::Url(text)),
            },
            _ => {
                // From the surest sign to the vaguest: strings of other tools also look like pairs
                // or YAML.
                if let Some(what) = of_another_tool(text) {
                    return seems(what);
                }
                if let Some(what) = map(text) {
                    let taken = if self.takes_maps { ", whose entries go to `from_map`" } else { "" };
                    return seems(&format!("seems to be {what}{taken}"));
                }
                if let Some(scheme) = scheme {
                    return Err(self.foreign(scheme));
                }
                if let Some(what) = self.of_a_slip(text) {
                    return seems(what);
                }
                match is_pairs(text) {
                    true if self.takes_pairs => Ok(ConnectionText::Pairs(text)),
                    true => seems("has `name=value` pairs, which only wrapper-pg reads"),
                    false if text.contains(['@', '/', ':']) || text.contains('.') && !text.contains(' ') => {
                        seems("has no scheme")
                    }
                    false => seems("is not a connection string"),
                }
            }
        }
    }

    fn foreign(&self, scheme: &str) -> Error {
        let lower = scheme.trim().to_ascii_lowercase();
        let usual = self.schemes.first().unwrap_or(&"");
        let message = if lower.is_empty() {
            format!("the connection string has no scheme: write {}", self.example())
        } else if self.schemes.contains(&lower.as_str()) && lower == scheme.trim() {
            format!("the connection string has a blank before `://`: write {}", self.example())
        } else if self.schemes.contains(&lower.as_str()) {
            format!("the connection string's scheme must be in lower case: write {}", self.example())
        } else if let Some(known) = FOREIGN_SCHEMES.iter().find(|known| **known == lower) {
            format!("scheme `{known}` is not {}'s: it is `{usual}://`", self.engine)
        } else {
            format!(
                "the connection string begins with another scheme than `{usual}://`: write {}",
                self.example()
            )
        };
        Error::new(ErrorKind::Configuration, message)
    }

    /// Detects a scheme of the engine that lacks a character.
    fn of_a_slip(&self, text: &str) -> Option<&'static str> {
        if text.starts_with("//") {
            return Some("has no scheme");
        }
        let lower = text.to_ascii_lowercase();
        self.schemes.iter().find_map(|scheme| {
            let rest = lower.strip_prefix(scheme)?.trim_start();
            if rest.starts_with("//") {
                Some("lacks the colon after its scheme")
            } else if rest.starts_with(':') {
                Some("lacks the two slashes after its scheme and the colon")
            } else {
                None
            }
        })
    }
}

fn trimmed(text: &str) -> &str {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\u{a0}' | '\u{feff}');
    let text = text.trim_matches(blank);
    let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix(['\n', '\r'])).unwrap_or(text);
    let text = text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])).unwrap_or(text);
    text.trim_matches(blank)
}

/// Detects text around a string, such as quotes, or in its place, such as a variable; returns the
/// clause that says so in a message.
fn around(text: &str) -> Option<&'static str> {
    let first = text.chars().next();
    let last = text.chars().next_back();
    let is_url = text.contains("://");
    match (first, last) {
        (None, _) => Some("is empty"),
        (Some(first), _) if OPENING_QUOTES.contains(&first) => {
            Some("is in quotes, which belong to a shell and not to the text")
        }
        _ if is_assignment(text) => Some("begins with the name of a variable"),
        (_, Some(last)) if is_url && OPENING_QUOTES.contains(&last) => {
            Some("is in quotes, which belong to a shell and not to the text")
        }
        (Some('<'), _) => Some("is in brackets, which belong to a form and not to the text"),
        (Some('$'), _) => Some("is the name of a variable that was not filled in"),
        (Some('{'), _) if text.starts_with("{{") => Some("is the name of a variable that was not filled in"),
        (Some('%'), Some('%')) if text.len() > 1 => Some("is the name of a variable that was not filled in"),
        (Some('\n' | '\r'), _) | (_, Some('\n' | '\r')) => Some("has more than one line break around it"),
        (Some(first), _) if is_invisible(first) => Some("begins with an invisible character"),
        (_, Some(last)) if is_invisible(last) => Some("ends with an invisible character"),
        _ => None,
    }
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    ) || c.is_control()
}

/// Detects text within a URL that cannot be part of one, and returns the clause that says so.
fn inside(text: &str) -> Option<&'static str> {
    if text.contains(['\n', '\r']) {
        return Some("contains a line break");
    }
    if text.contains(char::is_control) {
        return Some("contains a control character");
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    // Up to the query: a URL is a proper value there.
    let authority = rest.split('?').next().unwrap_or_default();
    if ["postgres://", "postgresql://", "mysql://", "http://", "https://"]
        .iter()
        .any(|url| authority.contains(url))
    {
        return Some("contains two URLs");
    }
    if is_go(rest) {
        return Some("seems to be one of Go's MySQL driver, which writes tcp(host:port)");
    }
    if text.contains("&amp;") {
        return Some("is escaped for HTML, with `&amp;` in place of `&`");
    }
    None
}

fn is_go(text: &str) -> bool {
    ["@tcp(", "@unix(", "@tcp6(", "@("].iter().any(|piece| text.contains(piece))
}

/// Detects a string in the form of another tool, and returns the clause that names it.
fn of_another_tool(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| lower.starts_with(prefix));
    if starts(&["jdbc:"]) {
        return Some(
            "seems to be one of JDBC, so leave out `jdbc:` and put user and password before the host",
        );
    }
    if lower.contains("://") && starts(SQLALCHEMY) {
        return Some("seems to be one of SQLAlchemy, which names its driver after a `+`");
    }
    if is_go(text) {
        return Some("seems to be one of Go's MySQL driver, which writes tcp(host:port)");
    }
    let words: Vec<_> = lower.split_whitespace().take(2).collect();
    if let [client, argument] = words[..]
        && ["psql", "mysql", "mariadb", "pg_dump", "mysqldump"].contains(&client)
        && !argument.starts_with(['=', ':'])
    {
        return Some("seems to be a command line");
    }
    if starts(&["dbi:"]) {
        return Some("seems to be one of Perl's DBI");
    }
    if starts(&["pgsql:", "mysql:"]) && !lower.contains("://") && lower.contains(';') {
        return Some("seems to be one of PHP's PDO");
    }
    if starts(&["arn:"]) {
        return Some("is an ARN");
    }
    // The base64 of `postgre` and `mysql:`, in lower case like the text.
    if starts(&["cg9zdgdyzx", "bxlzcww6"]) {
        return Some("is in base64");
    }
    if starts(&["postgres%3a", "postgresql%3a", "mysql%3a"]) {
        return Some("is percent-encoded as a whole");
    }
    if is_section(text) {
        return Some("seems to be an option file");
    }
    if !lower.contains("://") && lower.contains(';') && lower.contains('=') {
        let is_odbc = lower.contains("driver=") || starts(&["dsn="]) || lower.contains("pwd=");
        return Some(match is_odbc {
            true => "seems to be one of ODBC, with `;` between its pairs",
            false => "seems to be one of ADO.NET, with `;` between its pairs",
        });
    }
    // https://www.postgresql.org/docs/current/libpq-pgpass.html: host:port:database:user:password.
    let fields: Vec<_> = text.split(':').collect();
    let is_pgpass = fields.len() == 5
        && !text.contains(['@', '=', '/', ' '])
        && (fields[1] == "*" || fields[1].bytes().all(|byte| byte.is_ascii_digit()));
    is_pgpass.then_some("seems to be a line of .pgpass")
}

/// Returns whether a text is an option file: it begins with `[client]` on a line of its own.
fn is_section(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default().trim();
    line.starts_with('[')
        && line.ends_with(']')
        && text.lines().count() > 1
        && !line.contains(['{', '"', ','])
}

/// Returns whether a URL is assigned to a variable: `NAME=scheme://…`, `export NAME="scheme://…`,
/// `name: scheme://…`.
fn is_assignment(text: &str) -> bool {
    let text =
        text.strip_prefix("export ").or_else(|| text.strip_prefix("set ")).unwrap_or(text).trim_start();
    let Some(end) = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'))
    else {
        return false;
    };
    let rest = text[end..].trim_start();
    let Some(value) = rest.strip_prefix('=').or_else(|| rest.strip_prefix(": ")) else {
        return false;
    };
    let value = value.trim_start().trim_start_matches(OPENING_QUOTES);
    let scheme = value.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    end > 0 && scheme.is_some_and(|scheme| FOREIGN_SCHEMES.contains(&scheme.as_str()))
}

/// Returns the name of the format if a text is a map: JSON or YAML.
fn map(text: &str) -> Option<&'static str> {
    match text.starts_with('{') || text.starts_with('[') {
        true => Some("JSON"),
        false => is_yaml(text).then_some("YAML"),
    }
}

/// Returns whether a text begins as a map in YAML: `host: …`.
fn is_yaml(text: &str) -> bool {
    let name = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    name.is_some_and(|end| end > 0 && text[end..].starts_with(": ") && !text[end..].starts_with(": //"))
        && !text.contains("://")
}

/// Returns whether a text begins as `name=value`, by the rules of libpq.
fn is_pairs(text: &str) -> bool {
    let name = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'));
    name.is_some_and(|end| end > 0 && text[end..].trim_start().starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: StringForm = StringForm::new("PostgreSQL", &["postgres", "postgresql"], true);

    #[test]
    fn surrounding_blanks_are_trimmed() {
        let url = "postgres://jane@host/app";
        for text in
            [url.to_owned(), format!(" {url}\t"), format!("\u{feff}{url}\r\n"), format!("\n  {url}  \n")]
        {
            assert!(FORM.read(&text).expect("is read") == ConnectionText::Url(url), "{text:?}");
        }
        assert!(
            FORM.read(" host=a user = b\n").expect("is read") == ConnectionText::Pairs("host=a user = b")
        );
    }

    #[test]
    fn map_is_referred_to_from_map() {
        for (text, what) in [(r#"{"host": "h"}"#, "JSON"), ("host: h\nuser: jane", "YAML"), ("[{}]", "JSON")]
        {
            let message = |form: StringForm| form.read(text).err().expect("no string").to_string();
            let plain = message(FORM);
            assert!(plain.contains(what) && !plain.contains("map"), "{plain}");
            let sent = message(FORM.with_maps());
            assert!(sent.contains(&format!("seems to be {what}, whose entries go to `from_map`")), "{sent}");
        }
    }

    #[test]
    fn password_may_look_like_anything() {
        for url in [
            "postgres://jane:a'b@host/app",
            "postgres://jane:tcp(x)@host/app",
            "postgres://jane:x%3A@host/app",
        ] {
            assert!(FORM.read(url).expect("is read") == ConnectionText::Url(url), "{url}");
        }
    }
}
