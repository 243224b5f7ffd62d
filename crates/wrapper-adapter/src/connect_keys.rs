//! Host, port, user, password and database, from the keys of a map or the part of a URL before the
//! query.

use std::fmt;

use wrapper_core::{ConnectRequest, Engine, Error, ErrorKind, Password, Result};

use crate::{StringForm, UrlParts, check_host, percent_decoded, user_with_colon};

/// Holds host, port, user, password and database of a configuration that names one host, each
/// checked.
#[derive(Clone, Default)]
pub struct ConnectKeys {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    database: Option<String>,
    password: Option<Password>,
}

impl ConnectKeys {
    /// The names of the keys in a map of parameters.
    pub const NAMES: &[&str] = &["host", "port", "user", "database", "password"];

    /// Reads the pieces of a URL that names one host.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); a configuration error for a piece that is not UTF-8 once it is
    /// decoded.
    pub fn of_url(parts: &UrlParts<'_>) -> Result<Self> {
        let user_info = parts.user_info.unwrap_or_default();
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        // RFC 3986, section 3.2.2: an IPv6 address is in brackets, so that its colons are not a
        // port's.
        let (host, port) = match parts.hosts.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((address, rest)) => (address, rest.strip_prefix(':')),
            None => match parts.hosts.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (parts.hosts, None),
            },
        };
        let mut keys = Self::default();
        let pieces = [
            ("host", Some(host)),
            ("port", port),
            ("user", Some(user)),
            ("database", Some(parts.path)),
            ("password", password),
        ];
        for (name, piece) in pieces {
            let Some(piece) = piece else { continue };
            let text = percent_decoded(piece).map_err(|_| {
                configuration(format!("the {name} in the URL is not UTF-8 once it is decoded"))
            })?;
            keys.set(name, text)?;
        }
        Ok(keys)
    }

    /// Sets one of [`NAMES`](Self::NAMES); a blank host, user or database counts as missing.
    ///
    /// # Errors
    ///
    /// A configuration or host error that names the key; a value is shown only if it is a number.
    pub fn set(&mut self, name: &str, text: String) -> Result<()> {
        let named = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        match name {
            "host" => {
                self.host = named(text);
                self.host.as_deref().map_or(Ok(()), check_host)?;
            }
            "port" => self.port = Some(port(&text)?),
            "user" => {
                check_login(Some(&text), ("database", None), None)?;
                self.user = named(text);
            }
            "database" => {
                check_login(None, ("database", Some(&text)), None)?;
                self.database = named(text);
            }
            _ => {
                check_login(None, ("database", None), Some(&text))?;
                self.password = Some(Password::verified_tls_only(text));
            }
        }
        Ok(())
    }

    /// Returns the host, where one is named.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the port, where one is named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the user, where one is named.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the database, where one is named.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Returns the password, where one is given; for verified TLS only.
    pub fn password(&self) -> Option<&Password> {
        self.password.as_ref()
    }

    /// Returns the request for the host, without the password; the user may be missing.
    ///
    /// # Errors
    ///
    /// A configuration error if the host is missing.
    pub fn request(&self, engine: Engine, form: &StringForm) -> Result<ConnectRequest> {
        let Some(host) = self.host() else {
            return Err(configuration(format!("missing host: name one, as in {}", form.example())));
        };
        let port = self.port.unwrap_or(engine.default_port());
        let request = ConnectRequest::new(host, port, self.user().unwrap_or_default());
        Ok(match self.database() {
            Some(database) => request.with_database(database),
            None => request,
        })
    }
}

/// Checks user, database and password for what drivers do not refuse: control characters, of which
/// a NUL would end a name in the protocols, and a URL or `user:password` in the wrong place.
///
/// The database is given with the name of its key.
///
/// # Errors
///
/// A configuration error that names the key.
pub fn check_login(
    user: Option<&str>,
    (key, database): (&str, Option<&str>),
    password: Option<&str>,
) -> Result<()> {
    for (name, value) in [("user", user), (key, database), ("password", password)] {
        let Some(value) = value else { continue };
        if value.contains(char::is_control) {
            return Err(configuration(format!("`{name}` contains a control character")));
        }
        if name != "password" && value.contains("://") {
            return Err(configuration(format!(
                "`{name}` contains a URL: write the URL alone, as the connection string"
            )));
        }
    }
    match user.is_some_and(|user| user.contains(':')) {
        true => Err(user_with_colon()),
        false => Ok(()),
    }
}

fn port(text: &str) -> Result<u16> {
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        let shown = if text.parse::<i32>().is_ok() { format!(", not `{text}`") } else { String::new() };
        configuration(format!("`port` must be a whole number from 1 to 65535{shown}"))
    })
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl fmt::Debug for ConnectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A wrongly split value may be a piece of a password.
        f.debug_struct("ConnectKeys").field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserInfoEnd;

    const FORM: StringForm = StringForm::new("MySQL", &["mysql"], false);

    fn keys(url: &str) -> Result<ConnectKeys> {
        ConnectKeys::of_url(&UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?)
    }

    #[track_caller]
    fn refused(url: &str, says: &str) {
        let error = keys(url).expect_err("does not fit").to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn pieces_of_a_url_are_decoded() {
        let keys = keys("mysql://j%40ne:p%3Aw@[::1]:3307/a%20b").expect("fits");

        assert_eq!((keys.host(), keys.port(), keys.user()), (Some("::1"), Some(3307), Some("j@ne")));
        assert_eq!(keys.database(), Some("a b"));
        assert_eq!(keys.password().map(Password::as_secret), Some("p:w"));
        let request = keys.request(Engine::Mysql, &FORM).expect("names a host");
        assert_eq!(request.host_and_port(), "[::1]:3307");
    }

    #[test]
    fn missing_pieces_are_none() {
        let keys = keys("mysql://db.example/").expect("fits");

        assert_eq!((keys.port(), keys.user(), keys.database()), (None, None, None));
        let request = keys.request(Engine::Postgres, &FORM).expect("names a host");
        assert_eq!((request.port(), request.user()), (5432, ""));
        let error = ConnectKeys::default().request(Engine::Mysql, &FORM).expect_err("missing host");
        assert_eq!(error.to_string(), "missing host: name one, as in mysql://user@host/database");
    }

    #[test]
    fn pieces_that_do_not_fit_are_named_wrong() {
        refused("mysql://u%00:hunter2@h", "`user` contains a control character");
        refused("mysql://jane%3Ahunter2@h", "`user` contains a `:`");
        refused("mysql://u@h/mysql:%2F%2Fhunter2", "`database` contains a URL");
        refused("mysql://u:hunter2%0A@h", "`password` contains a control character");
        refused("mysql://u@hunter2%20x/d", "whitespace");
        refused("mysql://u%FF@h", "not UTF-8");
        let mut keys = ConnectKeys::default();
        let error = keys.set("port", "hunter2".to_owned()).expect_err("no port").to_string();
        assert_eq!(error, "`port` must be a whole number from 1 to 65535");
        let error = keys.set("port", "0".to_owned()).expect_err("no port").to_string();
        assert_eq!(error, "`port` must be a whole number from 1 to 65535, not `0`");
    }
}
