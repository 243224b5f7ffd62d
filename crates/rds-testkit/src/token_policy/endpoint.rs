//! The endpoint that a token must be signed for.

use super::token::Token;
use crate::refusal::{Refusal, RefusalDetail};

/// The names, port and region of one server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) hosts: Vec<String>,
    pub(crate) port: u16,
    pub(crate) region: String,
}

impl Endpoint {
    /// Returns whether all names of the server are Aurora DSQL's.
    pub(crate) fn is_dsql(&self) -> bool {
        self.hosts.iter().all(|host| is_dsql(host))
    }

    /// Checks host, port, service, region, action and user, in this order.
    pub(super) fn check(&self, token: &Token, user: &str) -> Result<(), RefusalDetail> {
        let detail = |refusal, what: &str, found: &str, own: &str| {
            Err(RefusalDetail::new(refusal, format!("{what} {found:?}, this server is {own:?}")))
        };
        let is_dsql = is_dsql(token.host());
        let (service, port) = match is_dsql {
            true => ("dsql", String::new()),
            false => ("rds-db", self.port.to_string()),
        };
        if !self.hosts.iter().any(|host| host.eq_ignore_ascii_case(token.host())) {
            return detail(Refusal::WrongHost, "host", token.host(), &self.hosts.join(", "));
        }
        if token.port() != port {
            return detail(Refusal::WrongPort, "port", token.port(), &port);
        }
        if token.service() != service {
            return detail(Refusal::WrongService, "service", token.service(), service);
        }
        if token.region() != self.region {
            return detail(Refusal::WrongRegion, "region", token.region(), &self.region);
        }
        let wrong_user = |detail| Err(RefusalDetail::new(Refusal::WrongUser, detail));
        match (token.value("Action"), token.value("DBUser"), is_dsql) {
            (Some("connect"), Some(signed), false) if signed == user => Ok(()),
            (Some("connect"), signed, false) => wrong_user(format!("DBUser {signed:?}, login {user:?}")),
            (Some("DbConnectAdmin"), None, true) if user == "admin" => Ok(()),
            (Some("DbConnect"), None, true) if user != "admin" => Ok(()),
            (Some(action @ ("DbConnect" | "DbConnectAdmin")), None, true) => {
                wrong_user(format!("action {action:?}, login {user:?}"))
            }
            (action, _, _) => Err(RefusalDetail::new(Refusal::NotAToken, format!("action {action:?}"))),
        }
    }
}

/// Returns whether a name is Aurora DSQL's, where tokens contain neither port nor user.
fn is_dsql(host: &str) -> bool {
    host.to_ascii_lowercase().ends_with(".on.aws")
}
