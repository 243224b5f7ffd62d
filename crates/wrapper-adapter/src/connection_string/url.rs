//! The pieces of a connection URL, and the mistakes of splitting it.
//!
//! An unencoded special character in a password shifts the boundaries of all pieces: the apparent
//! host, port or parameter name is then a piece of the password. So the boundaries are checked
//! before anything is shown.

use wrapper_core::{Error, ErrorKind, Result};

/// The end of user and password, as a driver finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserInfoEnd {
    /// At the first `@`, wherever it is (libpq, tokio-postgres).
    FirstAt,
    /// At the last `@` before the first `/`, `?` or `#` (the `url` crate).
    LastAtOfAuthority,
}

/// The pieces of a URL after the scheme, still encoded.
#[derive(Clone, Copy)]
pub struct UrlParts<'a> {
    /// User and password, if given.
    pub user_info: Option<&'a str>,
    /// Hosts and ports.
    pub hosts: &'a str,
    /// The database, without the leading slash.
    pub path: &'a str,
    /// The parameters, without the leading question mark.
    pub query: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Splits a URL.
    ///
    /// # Errors
    ///
    /// A configuration error that shows no piece of the URL: for an `@`, `/`, `?` or `#` that must
    /// be percent-encoded, and for an invalid port.
    pub fn of(url: &'a str, end: UserInfoEnd) -> Result<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let at = match end {
            UserInfoEnd::FirstAt => rest.find('@'),
            UserInfoEnd::LastAtOfAuthority => rest[..authority_end].rfind('@'),
        };
        let (user_info, rest) = match at {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        // A user's name ends at a colon, so that a `/` before it is one of a path.
        let is_cut = |info: &str| info.find(['/', '?', '#']).is_some_and(|odd| !info[..odd].contains(':'));
        if user_info.is_some_and(is_cut) {
            return Err(misplaced());
        }
        // After a port and a path the driver would take a stray `@` of the query for the end of the
        // password.
        let is_path = |info: &str| info.split_once('?').is_some_and(|(before, _)| before.contains('/'));
        if user_info.is_some_and(is_path) {
            return Err(misplaced());
        }
        let hosts_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (hosts, rest) = rest.split_at(hosts_end);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let has_fragment = end == UserInfoEnd::LastAtOfAuthority && hosts.contains('#');
        if hosts.contains('@') || path.contains('@') || has_fragment {
            return Err(misplaced());
        }
        // Without user info an `@` further on was meant to end it.
        if user_info.is_none() && query.contains('@') {
            return Err(misplaced());
        }
        let parts = Self { user_info, hosts, path: path.strip_prefix('/').unwrap_or(path), query };
        parts.check_ports()?;
        Ok(parts)
    }

    fn check_ports(&self) -> Result<()> {
        for host in self.hosts.split(',') {
            let port = match host.strip_prefix('[') {
                Some(bracketed) => bracketed.split_once(']').map(|(_, port)| port),
                None => host.find(':').map(|colon| &host[colon..]),
            };
            let Some(port) = port.filter(|port| !port.is_empty()) else { continue };
            let digits = port.strip_prefix(':').unwrap_or(port);
            if digits.parse::<u16>().is_ok_and(|port| port > 0)
                && digits.bytes().all(|byte| byte.is_ascii_digit())
            {
                continue;
            }
            if self.user_info.is_none() {
                return Err(configuration(
                    "the text after the first `:` of the URL is not a port: if it is a password, `@host` is \
                     missing after it",
                ));
            }
            let is_number =
                (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let shown = if is_number { format!(", not `{digits}`") } else { String::new() };
            return Err(configuration(&format!("`port` must be a whole number from 1 to 65535{shown}")));
        }
        Ok(())
    }

    /// Returns whether a name in the query may be a piece of a password.
    pub fn is_doubtful(&self, name: &str) -> bool {
        let end = self.query.find(name).unwrap_or(self.query.len());
        // The list of plugins may name one after secrets.
        let mut before = self.query[..end].split('&').filter(|pair| !pair.starts_with("plugins="));
        self.query.contains('@') || before.any(holds_password)
    }
}

/// Returns whether a text names a password, so that the text after it may be a part of that.
pub(crate) fn holds_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token"].iter().any(|word| lower.contains(word))
}

fn misplaced() -> Error {
    configuration(
        "an unencoded `@`, `/`, `?` or `#` splits a piece of the URL: in user, password and values \
         write %40, %2F, %3F and %23",
    )
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, end: UserInfoEnd, pieces: (Option<&str>, &str, &str, &str)) {
        let parts = UrlParts::of(url, end).expect("is taken apart");
        assert_eq!((parts.user_info, parts.hosts, parts.path, parts.query), pieces);
    }

    #[track_caller]
    fn refused(url: &str, end: UserInfoEnd) {
        let error = UrlParts::of(url, end).err().expect("is refused").to_string();
        assert!(!error.contains("hunter"), "{error}");
    }

    #[test]
    fn pieces_are_those_of_the_driver() {
        check(
            "p://u:a?b@h:1,[::1]:2/d?x=y",
            UserInfoEnd::FirstAt,
            (Some("u:a?b"), "h:1,[::1]:2", "d", "x=y"),
        );
        check("p://u:a@b@h/d", UserInfoEnd::LastAtOfAuthority, (Some("u:a@b"), "h", "d", ""));
        check("p://u@h?x=a@b", UserInfoEnd::FirstAt, (Some("u"), "h", "", "x=a@b"));
        check("p:///d?host=/run&user=u", UserInfoEnd::FirstAt, (None, "", "d", "host=/run&user=u"));
    }

    #[test]
    fn plugins_named_after_secrets_make_no_name_doubtful() {
        let is_doubtful = |query: &str| {
            let url = format!("p://u@h/d?{query}");
            UrlParts::of(&url, UserInfoEnd::FirstAt).expect("is taken apart").is_doubtful("name")
        };
        assert!(!is_doubtful("plugins=awsSecretsManager&name=x"));
        assert!(is_doubtful("plugins=awsSecretsManager&password=hun&name=x"));
        assert!(is_doubtful("plugins=awsSecretsManager&secretId=hun&name=x"));
        assert!(is_doubtful("password=hun&plugins=iam&name=x"));
    }

    #[test]
    fn borders_that_a_password_moved_are_refused() {
        for url in [
            "p://u:hun@ter2@h/d",
            "p://u@corp.com@h/d",
            "p://u:hun@ter2/x@h",
            "p://h/d?user=u&o=a@b",
            "p://h:1/d?o=a@b",
        ] {
            refused(url, UserInfoEnd::FirstAt);
        }
        for url in [
            "p://u:hun/ter2@h/d",
            "p://u:1/hunter2@h/d",
            "p://u:hun?ter2@h/d",
            "p://u:hun#ter2@h",
            "p://u:1#hunter2@h",
        ] {
            refused(url, UserInfoEnd::LastAtOfAuthority);
        }
        for url in [
            "p://u:hunter2",
            "p://u@h:hunter2",
            "p://u@h:0",
            "p://u@h:70000",
            "p://u@h:",
            "p://u@[::1]:x",
            "p://u@h:+1",
        ] {
            refused(url, UserInfoEnd::FirstAt);
            refused(url, UserInfoEnd::LastAtOfAuthority);
        }
    }
}
