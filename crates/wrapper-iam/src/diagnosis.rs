//! The one ranking of what most likely keeps a login by token out, because the server never says.

use std::time::Duration;

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{Cause, Engine, Error, text::escape_control};

use iam_token_provider::{TokenRequest, masked_key_id};

mod rows;

pub use rows::RANKING;

/// A clock that is off by more may be why a token is refused: SigV4 allows five minutes elsewhere.
const SUSPICIOUS_OFFSET: u64 = 240;

/// A token or session this near to its end may have been refused because of it.
const NEAR_END: Duration = Duration::from_secs(60);

/// Says what a server asked a user for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// For a proof that a token cannot be: the user logs in by password, or does not exist.
    Password,
    /// For the password in clear text, which a token is.
    Token,
    /// MySQL refuses every login with the same message.
    #[default]
    Unknown,
}

impl Asked {
    /// Reads out of a refusal of PostgreSQL what the server had asked for.
    pub fn of_postgres(target: &TokenRequest, refusal: &Error) -> Self {
        let is_dsql = Endpoint::parse(target.host()).is_ok_and(|host| host.kind() == EndpointKind::Dsql);
        // DSQL knows no passwords. Elsewhere a user with rds_iam is refused as one whose token may
        // be stale.
        if is_dsql || refusal.may_be_stale_password() { Self::Token } else { Self::Password }
    }
}

/// Tells how near a cause is to being proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Likelihood {
    /// It was found to be so.
    Certain,
    /// It is what such a refusal most often comes from.
    Likely,
    /// Nothing speaks against it.
    Possible,
}

/// Holds what is known of a refused login; [`new`](Self::new) fills in what is always known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// What the token was signed for.
    pub target: &'a TokenRequest,
    /// Where the connection goes.
    pub dialled: (&'a str, u16),
    /// The engine.
    pub engine: Engine,
    /// What the server asked for.
    pub asked: Asked,
    /// The server's text and hint.
    pub answer: String,
    /// The id of the access key that signed.
    pub access_key_id: &'a str,
    /// Whether the key came in place of another one whose token had been refused a moment before.
    pub key_was_replaced: bool,
    /// For how long ago a server accepted the same token, if that is so recent that it cannot be
    /// stale.
    pub recently_accepted: Option<Duration>,
    /// Whether logins are so many that the server may throttle them.
    pub has_many_logins: bool,
    /// The time until the end of the credentials, where it is known.
    pub credentials_left: Option<Duration>,
    /// Whether the credentials are of a session whose end is not known.
    pub has_unknown_end: bool,
    /// By how many seconds this machine's clock is ahead, where it was compared with another.
    pub clock_ahead: Option<i64>,
    /// ARN and account of the credentials, where STS was asked.
    pub identity: Option<(&'a str, &'a str)>,
    /// The endpoint that DNS leads to, if that is another one than the token is signed for.
    pub leads_to: Option<Endpoint>,
}

/// One cause: when it applies, how likely it then is, and what is said of it.
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

    /// Ranks the causes, the likeliest first; each code stands once.
    pub fn causes(&self) -> Vec<Cause> {
        let mut found: Vec<(Likelihood, &CauseRow)> =
            RANKING.iter().filter_map(|row| Some(((row.when)(self)?, row))).collect();
        // The sort is stable: among equally likely ones the order of the table counts.
        found.sort_by_key(|(likelihood, _)| *likelihood);
        let mut causes: Vec<Cause> = Vec::new();
        for (_, row) in found {
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

    /// Returns whether the host that is dialled is an endpoint by itself, and not what leads to
    /// one: an address, a tunnel, a domain of one's own.
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

    /// Returns what the policy has to allow.
    fn permission(&self) -> String {
        let endpoint = self.endpoint();
        let (region, user) = (self.target.region(), escape_control(self.target.user()));
        let partition =
            endpoint.as_ref().and_then(Endpoint::partition).map_or("aws", |partition| partition.id());
        if self.is_dsql() {
            let id = endpoint.as_ref().and_then(Endpoint::id).unwrap_or("ID");
            let action = if user == "admin" { "DbConnectAdmin" } else { "DbConnect" };
            return format!("dsql:{action} on arn:{partition}:dsql:{region}:ACCOUNT:cluster/{id}");
        }
        let resource = match self.kind() {
            Some(EndpointKind::Instance) => "db-RESOURCE-ID",
            _ if self.is_proxy() => "prx-RESOURCE-ID",
            _ => "cluster-RESOURCE-ID",
        };
        format!("rds-db:connect on arn:{partition}:rds-db:{region}:ACCOUNT:dbuser:{resource}/{user}")
    }
}

/// Names the log in which the server gives its reason, where it is exported.
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

/// Returns the only cause where the plugin is missing: what to add, and what else a login by token
/// needs.
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
        "`plugins=iam` is missing, without which no token is sent",
        &format!(
            "add plugins=iam and {}; it takes {grant}AWS credentials whose policy allows \
             {action}{else_wrong}",
            also.join(" and ")
        ),
    )
}

#[cfg(test)]
mod tests;
