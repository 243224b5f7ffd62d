//! The targets of the hosts that a connector leads to, derived once.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use iam_token_provider::TokenRequest;
use wrapper_core::{ConnectRequest, Result, ServerName};

use crate::IamSettings;

/// More targets than a connector has, unless its plugins keep turning to new ones; beyond it the
/// oldest is derived again.
const MOST: usize = 64;

/// Remembers what the tokens for a host are signed for.
///
/// To parse a host name and to render what is signed takes ten times as long as a cached token.
#[derive(Debug, Default)]
pub(crate) struct Targets(Mutex<Vec<Arc<Target>>>);

/// What the token for a host is signed for, and the name that the host's certificate must carry.
#[derive(Debug)]
pub(crate) struct Target {
    host: Box<str>,
    port: u16,
    user: Box<str>,
    instance: Option<Box<str>>,
    is_configured_host: bool,
    pub(crate) token: TokenRequest,
    /// `None` where the host is an address, which a certificate names by itself.
    pub(crate) server_name: Result<Option<ServerName>>,
}

impl Targets {
    /// Returns the target of a request.
    ///
    /// # Errors
    ///
    /// As [`IamSettings::target`].
    pub(crate) fn of(&self, settings: &IamSettings, request: &ConnectRequest) -> Result<Arc<Target>> {
        // Whole entries: no panic can leave one half written.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The guard ends with this statement; to derive a target under it would hold up all
        // connects.
        let known = lock().iter().find(|known| known.is_for(request)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        // Two connects may both derive it; the second entry is equal and does no harm.
        let derived = Arc::new(Target::derive(settings, request)?);
        let mut targets = lock();
        if targets.len() >= MOST {
            targets.remove(0);
        }
        targets.push(Arc::clone(&derived));
        Ok(derived)
    }
}

impl Target {
    fn derive(settings: &IamSettings, request: &ConnectRequest) -> Result<Self> {
        let token = settings.target(request)?;
        let server_name = match token.host().parse::<IpAddr>() {
            Ok(_) => Ok(None),
            Err(_) => ServerName::from_code(token.host()).map(Some),
        };
        Ok(Self {
            host: request.host().into(),
            port: request.port(),
            user: request.user().into(),
            instance: request.instance().map(Into::into),
            is_configured_host: request.is_configured_host(),
            token,
            server_name,
        })
    }

    /// Compares everything that [`IamSettings::target`] reads of a request.
    fn is_for(&self, request: &ConnectRequest) -> bool {
        *self.host == *request.host()
            && self.port == request.port()
            && *self.user == *request.user()
            && self.instance.as_deref() == request.instance()
            && self.is_configured_host == request.is_configured_host()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

    #[test]
    fn target_is_derived_once_for_a_host_a_port_and_a_user() {
        let (targets, settings) = (Targets::default(), IamSettings::default());
        let target = |host, port, user| {
            targets.of(&settings, &ConnectRequest::new(host, port, user)).expect("an endpoint")
        };
        let first = target(HOST, 5432, "jane");

        assert!(Arc::ptr_eq(&first, &target(HOST, 5432, "jane")));
        for other in [
            target("a.abc123.us-east-2.rds.amazonaws.com", 5432, "jane"),
            target(HOST, 5433, "jane"),
            target(HOST, 5432, "joe"),
        ] {
            assert_ne!(other.token, first.token);
        }
        let name = first.server_name.clone().expect("a DNS name");
        assert_eq!(name.as_ref().map(ServerName::as_str), Some(HOST));
    }

    #[test]
    fn target_of_an_instance_behind_a_custom_domain_is_its_own() {
        let (targets, host) = (Targets::default(), host_pattern::Endpoint::parse(HOST).expect("an endpoint"));
        let settings = IamSettings::default().with_host(host);
        let request = ConnectRequest::new("db.example", 5432, "jane");
        let of = |request: &ConnectRequest| targets.of(&settings, request).expect("`iamHost` is set");
        let configured = of(&request);

        let instance = of(&request.with_instance("a"));

        assert_eq!(configured.token.host(), HOST);
        assert_eq!(instance.token.host(), "a.abc123.us-east-2.rds.amazonaws.com");
    }

    #[test]
    fn targets_beyond_the_bound_are_forgotten() {
        let (targets, settings) = (Targets::default(), IamSettings::default());
        for number in 0..1_000 {
            let request = ConnectRequest::new(HOST, 5432, &format!("user-{number}"));
            targets.of(&settings, &request).expect("an endpoint");
        }

        assert_eq!(targets.0.lock().expect("no panic").len(), MOST);
    }
}
