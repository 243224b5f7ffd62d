//! Where a target connects to, read from a URL.

use wrapper_adapter::{
    ConnectKeys, ConnectionText, DriverNames, StringForm, UrlParts, UserInfoEnd, split_url,
};
use wrapper_core::{ConnectRequest, Engine, Error, ErrorKind, Registry, Result, adapter::RawParameters};

/// What the URLs of an engine look like.
pub struct UrlForm {
    pub(crate) engine: Engine,
    pub(crate) form: StringForm,
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
        // Pairs are refused by the form.
        let (ConnectionText::Url(url) | ConnectionText::Pairs(url)) = self.form.read(url)?;
        let parts = UrlParts::of(url, UserInfoEnd::LastAtOfAuthority)?;
        if parts.hosts.contains(',') {
            return Err(Error::new(
                ErrorKind::Configuration,
                "several hosts are named: give each a target of its own",
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
