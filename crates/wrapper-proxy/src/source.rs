//! Reads a target's URL.

use wrapper_adapter::{
    ConnectKeys, ConnectionText, DriverNames, StringForm, UrlParts, UserInfoEnd, split_url,
};
use wrapper_core::{ConnectRequest, Engine, Error, ErrorKind, Registry, Result, adapter::RawParameters};

/// The form of an engine's URLs.
pub struct UrlForm {
    pub(crate) engine: Engine,
    pub(crate) form: StringForm,
}

/// Other tools' names for parts of the URL, to suggest the right place.
const ELSEWHERE: &[(&str, &str)] =
    &[("databaseName", "database"), ("db", "database"), ("dbname", "database")];

impl UrlForm {
    /// Reads a URL and puts the wrapper's parameters into `given`. Driver options are refused: each
    /// client brings its own.
    pub(crate) fn read<C: Send + 'static>(
        &self,
        url: &str,
        registry: &Registry<C>,
        given: &mut RawParameters,
    ) -> Result<ConnectRequest> {
        // The form accepts URLs only, so the second variant does not occur.
        let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) = self.form.read(url)?;
        let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
        if parts.hosts.contains(',') {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a target has one host: create a target for each host",
            ));
        }
        let keys = ConnectKeys::of_url(&parts)?;
        let request = keys.request(self.engine, &self.form)?;
        let request = match keys.password() {
            Some(password) => request.with_password(password.clone()),
            None => request,
        };
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
}
