//! What a token must be signed for.

use super::token::Token;
use crate::refusal::{Denied, Refusal};

const SERVICE: &str = "rds-db";

/// The names, port and region of one server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) hosts: Vec<String>,
    pub(crate) port: u16,
    pub(crate) region: String,
}

impl Endpoint {
    /// Checks host, port, service, region and action, in this order.
    pub(super) fn check(&self, token: &Token) -> Result<(), Denied> {
        let denied = |refusal, what: &str, found: &str, own: &str| {
            Err(Denied::new(refusal, format!("{what} {found:?}, this server is {own:?}")))
        };
        if !self.hosts.iter().any(|host| host.eq_ignore_ascii_case(token.host())) {
            return denied(Refusal::WrongHost, "host", token.host(), &self.hosts.join(", "));
        }
        if token.port() != self.port.to_string() {
            return denied(Refusal::WrongPort, "port", token.port(), &self.port.to_string());
        }
        if token.service() != SERVICE {
            return denied(Refusal::WrongService, "service", token.service(), SERVICE);
        }
        if token.region() != self.region {
            return denied(Refusal::WrongRegion, "region", token.region(), &self.region);
        }
        match token.value("Action") {
            Some("connect") => Ok(()),
            action => Err(Denied::new(Refusal::NotAToken, format!("action {action:?}, not \"connect\""))),
        }
    }
}
