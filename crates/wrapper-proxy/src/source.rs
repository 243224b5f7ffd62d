//! Where a target connects to, read from a URL.

use wrapper_adapter::{
    ConnectionText, DriverNames, StringForm, UrlParts, UserInfoEnd, check_host, percent_decoded, split_url,
    user_with_colon,
};
use wrapper_core::{ConnectRequest, Error, ErrorKind, Password, Registry, Result, adapter::RawParameters};

/// What the URLs of an engine look like.
pub(crate) struct UrlForm {
    pub(crate) engine: &'static str,
    pub(crate) schemes: &'static [&'static str],
    pub(crate) default_port: u16,
}

/// How other tools call the pieces before the query.
const ELSEWHERE: &[(&str, &str)] =
    &[("databaseName", "database"), ("db", "database"), ("dbname", "database")];

impl UrlForm {
    /// Reads a URL; the wrapper's parameters go to `given`. Options of a driver belong to the
    /// clients, who bring them along.
    pub(crate) fn read<C: Send + 'static>(
        &self,
        url: &str,
        registry: &Registry<C>,
        given: &mut RawParameters,
    ) -> Result<ConnectRequest> {
        let form = StringForm::new(self.engine, self.schemes, false);
        // Pairs are refused by the form.
        let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) = form.read(url)?;
        let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
        let request = self.request(&parts, &form)?;
        let split = split_url(url, |name| registry.declares(name))?;
        let driver = DriverNames { names: &[], known_elsewhere: ELSEWHERE, engine: None };
        if let Some(name) = split.others.first() {
            return Err(match parts.is_doubtful(name) {
                true => driver.unknown_in_doubt(registry, name),
                false => driver.unknown(registry, name),
            });
        }
        for (name, value) in split.pairs {
            given.configure(&name, value)?;
        }
        Ok(request)
    }

    fn request(&self, parts: &UrlParts<'_>, form: &StringForm) -> Result<ConnectRequest> {
        if parts.hosts.contains(',') {
            return Err(configuration("several hosts are named: give each a target of its own".to_owned()));
        }
        let (user, password) = match parts.user_info.unwrap_or_default().split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (parts.user_info.unwrap_or_default(), None),
        };
        let (host, port) = match parts.hosts.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((address, rest)) => (address, rest.strip_prefix(':')),
            None => match parts.hosts.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (parts.hosts, None),
            },
        };
        let (host, user) = (decoded("host", host)?, decoded("user", user)?);
        if host.trim().is_empty() {
            return Err(configuration(format!("no host: name one, as in {}", form.example())));
        }
        check_host(&host)?;
        if user.contains(':') {
            return Err(user_with_colon());
        }
        // `UrlParts` has checked the port.
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(self.default_port);
        let mut request = ConnectRequest::new(&host, port, &user);
        let database = decoded("database", parts.path)?;
        if !database.is_empty() {
            request = request.with_database(&database);
        }
        if let Some(password) = password {
            request = request.with_password(Password::verified_tls_only(decoded("password", password)?));
        }
        Ok(request)
    }
}

fn decoded(what: &str, piece: &str) -> Result<String> {
    let text = String::from_utf8(percent_decoded(piece))
        .map_err(|_| configuration(format!("the {what} in the URL is not UTF-8 once it is decoded")))?;
    match text.contains(char::is_control) {
        true => Err(configuration(format!("the {what} in the URL holds a control character"))),
        false => Ok(text),
    }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
