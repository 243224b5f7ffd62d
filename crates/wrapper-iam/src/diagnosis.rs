//! The ranking of the likely causes of a refused token, which the server never names.

use std::time::Duration;

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{Cause, Engine, Error, text::escape_control};

use iam_token_provider::{TokenRequest, masked_key_id};

mod rows;

pub use rows::RANKING;

/// A clock off by more than this may cause a refusal: other AWS services allow SigV4 five minutes.
const SUSPICIOUS_OFFSET: u64 = 240;

/// A token or session this close to its expiry may have been refused for it.
const NEAR_END: Duration = Duration::from_secs(60);

/// Says what a server asked a user for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// A proof that no token can give: the user logs in with a password, or does not exist.
    Password,
    /// The password in clear text, which carries a token.
    Token,
    /// MySQL refuses every login with the same message.
    #[default]
    Unknown,
}

impl Asked {
    /// Reads from PostgreSQL's refusal what the server had asked for.
    pub fn of_postgres(target: &TokenRequest, refusal: &Error) -> Self {
        let is_dsql = Endpoint::parse(target.host()).is_ok_and(|host| host.kind() == EndpointKind::Dsql);
        // DSQL has no passwords. Elsewhere a user with rds_iam is refused like one with a stale
        // token.
        if is_dsql || refusal.may_be_stale_password() { Self::Token } else { Self::Password }
    }
}

/// The likelihood of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Likelihood {
    /// Proven by the facts.
    Certain,
    /// A usual reason of such a refusal.
    Likely,
    /// Not excluded by the facts.
    Possible,
}

/// The facts of a refused login; [`new`](Self::new) fills in those that are always known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The request that the token was signed for.
    pub target: &'a TokenRequest,
    /// The host and port that were dialled.
    pub dialled: (&'a str, u16),
    /// The engine.
    pub engine: Engine,
    /// What the server asked for.
    pub asked: Asked,
    /// The server's text and hint.
    pub answer: String,
    /// The id of the access key that signed.
    pub access_key_id: &'a str,
    /// Whether the key replaced one whose token was refused a moment before.
    pub key_was_replaced: bool,
    /// The time since a server accepted the same token, if that is too recent for it to be stale.
    pub recently_accepted: Option<Duration>,
    /// Whether there are enough logins for the server to throttle them.
    pub has_many_logins: bool,
    /// The time until the end of the credentials, where it is known.
    pub credentials_left: Option<Duration>,
    /// Whether the credentials belong to a session with an unknown expiry.
    pub has_unknown_end: bool,
    /// The seconds by which this machine's clock is ahead, if it was compared with another.
    pub clock_ahead: Option<i64>,
    /// ARN and account of the credentials, if STS was asked.
    pub identity: Option<(&'a str, &'a str)>,
    /// The endpoint that DNS leads to, if the token is signed for another one.
    pub leads_to: Option<Endpoint>,
}

/// One cause: when it applies, its likelihood, its sentence and its remedy.
#[derive(Debug)]
pub struct CauseRow {
    code: &'static str,
    when: fn(&Facts<'_>) -> Option<Likelihood>,
    sentence: fn(&Facts<'_>) -> String,
    remedy: fn(&Facts<'_>) -> String,
}

impl CauseRow {
    /// Returns the code.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl<'a> Facts<'a> {
    /// Creates the facts of a token that was refused where `dialled` leads.
    pub fn new(target: &'a TokenRequest, dialled: (&'a str, u16), engine: Engine) -> Self {
        Self {
            target,
            dialled,
            engine,
            asked: Asked::Unknown,
            answer: String::new(),
            access_key_id: "",
            key_was_replaced: false,
            recently_accepted: None,
            has_many_logins: false,
            credentials_left: None,
            has_unknown_end: false,
            clock_ahead: None,
            identity: None,
            leads_to: None,
        }
    }

    /// Ranks the causes, the likeliest first; each code appears once.
    pub fn causes(&self) -> Vec<Cause> {
        let mut found: Vec<(Likelihood, &CauseRow)> =
            RANKING.iter().filter_map(|row| Some(((row.when)(self)?, row))).collect();
        // The sort is stable: equally likely causes keep the order of the table.
        found.sort_by_key(|(likelihood, _)| *likelihood);
        let mut causes: Vec<Cause> = Vec::new();
        for (_, row) in found {
            // The likelier row of a code has the more exact sentence.
            if !causes.iter().any(|cause| cause.code() == row.code) {
                causes.push(Cause::new(row.code, &(row.sentence)(self), &(row.remedy)(self)));
            }
        }
        causes
    }

    fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.target.host()).ok()
    }

    fn kind(&self) -> Option<EndpointKind> {
        self.endpoint().map(|endpoint| endpoint.kind())
    }

    fn is_dsql(&self) -> bool {
        self.kind() == Some(EndpointKind::Dsql)
    }

    fn is_proxy(&self) -> bool {
        matches!(self.kind(), Some(EndpointKind::Proxy | EndpointKind::ProxyEndpoint))
    }

    /// Returns the dialled host if it is an endpoint itself, not an address, a tunnel or a custom
    /// domain in front of one.
    fn dialled_endpoint(&self) -> Option<Endpoint> {
        let endpoint = Endpoint::parse(self.dialled.0).ok()?;
        (!matches!(endpoint.kind(), EndpointKind::Custom | EndpointKind::Ip)).then_some(endpoint)
    }

    fn is_clock_off(&self) -> bool {
        self.clock_ahead.is_some_and(|ahead| ahead.unsigned_abs() > SUSPICIOUS_OFFSET)
    }

    fn named_region(&self) -> Option<String> {
        let named = self.endpoint()?.region()?.to_owned();
        (named != self.target.region()).then_some(named)
    }

    fn sql_user(&self) -> String {
        self.engine.quote_user(self.target.user())
    }

    /// Returns the identity that signed, or its key.
    fn who(&self) -> String {
        self.identity.map_or_else(|| format!("access key {}", self.key()), |(arn, _)| arn.to_owned())
    }

    fn key(&self) -> String {
        masked_key_id(self.access_key_id)
    }

    /// Returns the endpoint of the server that refused the login. The token may be signed for
    /// another one, which is no reason to grant anything there.
    fn reached_endpoint(&self) -> Option<Endpoint> {
        self.leads_to.clone().or_else(|| self.dialled_endpoint()).or_else(|| self.endpoint())
    }

    /// Returns the permission that the policy must grant.
    fn permission(&self) -> String {
        let endpoint = self.reached_endpoint();
        // The host knows better than `iamRegion`, which may be the mistake.
        let named = endpoint.as_ref().and_then(Endpoint::region);
        let (region, user) =
            (named.unwrap_or_else(|| self.target.region()), escape_control(self.target.user()));
        let partition =
            endpoint.as_ref().and_then(Endpoint::partition).map_or("aws", |partition| partition.id());
        let kind = endpoint.as_ref().map(Endpoint::kind);
        if kind == Some(EndpointKind::Dsql) {
            let id = endpoint.as_ref().and_then(Endpoint::id).unwrap_or("ID");
            let action = if user == "admin" { "DbConnectAdmin" } else { "DbConnect" };
            return format!("dsql:{action} on arn:{partition}:dsql:{region}:ACCOUNT:cluster/{id}");
        }
        // A policy names resource ids, which no endpoint reveals, so these are placeholders.
        let resource = match kind {
            Some(EndpointKind::Instance) => "db-RESOURCE-ID",
            Some(EndpointKind::Proxy | EndpointKind::ProxyEndpoint) => "prx-RESOURCE-ID",
            _ => "cluster-RESOURCE-ID",
        };
        format!("rds-db:connect on arn:{partition}:rds-db:{region}:ACCOUNT:dbuser:{resource}/{user}")
    }
}

/// Returns the log that holds the server's reason, if it is exported.
pub fn log_group(endpoint: &Endpoint) -> Option<String> {
    let id = endpoint.id().filter(|_| endpoint.is_rds())?;
    Some(match endpoint.kind() {
        EndpointKind::Instance => {
            format!("the log group /aws/rds/instance/{id}/iam-db-auth-error, if it is exported")
        }
        EndpointKind::WriterCluster | EndpointKind::ReaderCluster => {
            format!("the log group /aws/rds/cluster/{id}/iam-db-auth-error, if it is exported")
        }
        EndpointKind::Proxy => format!("the log group /aws/rds/proxy/{id}"),
        _ => "the log iam-db-auth-error of the instance or cluster, if it is exported".to_owned(),
    })
}

/// Returns the only cause if the plugin is missing: how to add it, and the other requirements of a
/// login by token.
pub(crate) fn plugin_missing(host: &str, user: &str, engine: Engine, password_was_refused: bool) -> Cause {
    let endpoint = Endpoint::parse(host).ok();
    let kind = endpoint.as_ref().map(Endpoint::kind);
    let mut also = vec!["leave the password out".to_owned()];
    match (kind, endpoint.as_ref().and_then(Endpoint::region)) {
        (Some(EndpointKind::Custom | EndpointKind::Ip) | None, _) => {
            also.push("set iamHost to the endpoint's own name".to_owned());
        }
        (_, None) => also.push("set iamRegion to the region of the writer".to_owned()),
        _ => {}
    }
    let sql_user = engine.quote_user(user);
    let (grant, action) = match (kind, engine) {
        (Some(EndpointKind::Dsql), _) if user == "admin" => (None, "dsql:DbConnectAdmin"),
        (Some(EndpointKind::Dsql), _) => {
            (Some(format!("AWS IAM GRANT {sql_user} TO the ARN of the IAM role")), "dsql:DbConnect")
        }
        (_, Engine::Mysql) => (
            Some(format!("ALTER USER {sql_user} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'")),
            "rds-db:connect",
        ),
        _ => (Some(format!("GRANT rds_iam TO {sql_user}")), "rds-db:connect"),
    };
    let grant = grant.map(|grant| format!("{grant}, and ")).unwrap_or_default();
    let else_wrong = if password_was_refused { "; if the user has a password, it is wrong" } else { "" };
    Cause::new(
        "plugin-missing",
        "`plugins=iam` is missing, so no token is sent",
        &format!(
            "add plugins=iam and {}; it needs {grant}AWS credentials with a policy that allows \
             {action}{else_wrong}",
            also.join(" and ")
        ),
    )
}

#[cfg(test)]
mod tests;
