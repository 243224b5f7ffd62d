//! What a refusal most likely means, which the server never says.

use host_pattern::{Endpoint, EndpointKind};

use super::{
    Session,
    login::Findings,
    report::{Cause, Code},
    subject::Subject,
};
use crate::cli::Engine;

/// A clock that is off by more may be why a token is refused: SigV4 allows five minutes elsewhere.
const SUSPICIOUS: u64 = 240;

/// As many causes as people read.
const NAMED: usize = 3;

/// Why a server asks for a password in place of a token.
pub(super) fn password_wanted(subject: &Subject) -> Vec<Cause> {
    let user = subject.user.escape_debug();
    let stranger = match subject.engine {
        Engine::Mysql => format!(
            "there may be no user `{user}` for this machine's address: check its spelling, case and host part"
        ),
        Engine::Postgres => format!("there may be no user `{user}`: check its spelling and case"),
    };
    vec![
        grant(subject),
        Cause::new(Code::NoSuchUser, stranger),
        Cause::new(
            Code::IamDisabled,
            "IAM authentication may be off for this instance or cluster: enable it".to_owned(),
        ),
    ]
}

/// The user that logs in by password.
pub(super) fn grant(subject: &Subject) -> Cause {
    let user = subject.user.escape_debug();
    let remedy = match subject.engine {
        Engine::Mysql => format!("ALTER USER '{user}' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"),
        Engine::Postgres => format!("GRANT rds_iam TO \"{user}\""),
    };
    Cause::new(Code::GrantMissing, format!("the server asked for a password and not for a token: {remedy}"))
}

/// Ranks why a token is refused: what was found wrong, then what is most often; `perhaps` is as likely as a policy.
pub(super) fn token_refused(findings: &Findings<'_>, perhaps: Option<Cause>) -> Vec<Cause> {
    let Findings { subject, session, ahead, .. } = *findings;
    let mut causes = Vec::new();
    let endpoint = subject.endpoint();
    let signed_region = subject.target().map(|target| target.region().to_owned()).unwrap_or_default();
    let is_global = endpoint.as_ref().is_some_and(|endpoint| endpoint.kind() == EndpointKind::GlobalWriter);
    let named = endpoint.as_ref().and_then(Endpoint::region).filter(|named| *named != signed_region);
    if let Some(named) = named {
        causes.push(Cause::new(
            Code::Region,
            format!(
                "the token is signed for {signed_region} and the name says {named}: leave `iamRegion` out"
            ),
        ));
    }
    if let Some(remedy) = subject.leads_elsewhere() {
        causes.push(Cause::new(if is_global { Code::Region } else { Code::HostName }, remedy));
    }
    if subject.dials_endpoint() && subject.signed_port() != subject.port {
        let (signed, dialled) = (subject.signed_port(), subject.port);
        causes.push(Cause::new(
            Code::SignedPort,
            format!("the token is signed for port {signed} and the server listens on {dialled}: leave `iamDefaultPort` out"),
        ));
    }
    if let Some(ahead) = ahead.filter(|ahead| ahead.unsigned_abs() > SUSPICIOUS) {
        let (minutes, side) = (ahead.unsigned_abs() / 60, if ahead < 0 { "behind" } else { "ahead" });
        causes.push(Cause::new(
            Code::ClockOff,
            format!("this machine's clock is {minutes} min {side}: set it by ntp"),
        ));
    }
    causes.push(policy(subject, session, &signed_region));
    causes.extend(perhaps);
    if session.is_temporary && !session.has_expiry && session.identity.is_none() {
        causes.push(refused_credentials(session, "have ended, or be of another account: renew the session"));
    }
    if is_global {
        causes.push(Cause::new(
            Code::Region,
            format!("{signed_region} may not be where the writer is now: check `iamRegion`"),
        ));
    }
    if !subject.dials_endpoint() && subject.signed_port() == subject.port {
        let port = subject.port;
        causes.push(Cause::new(
            Code::SignedPort,
            format!(
                "the database behind may listen on another port than {port}: give it as `iamDefaultPort`"
            ),
        ));
    }
    if ahead.is_none() {
        let text = "this machine's clock may be off, which could not be checked: compare it with ntp";
        causes.push(Cause::new(Code::ClockOff, text));
    }
    causes.push(match &session.identity {
        Some(identity) => Cause::new(
            Code::CredentialsRefused,
            format!("the credentials are of account {}: check that the database is too", identity.account),
        ),
        None => refused_credentials(session, "be revoked or of another account: --sts tells whose they are"),
    });
    causes.push(Cause::new(
        Code::Throttled,
        "RDS takes about 200 iam logins a second and refuses more: wait, and use a pool",
    ));
    let mut ranked: Vec<Cause> = Vec::new();
    for cause in causes {
        if !ranked.iter().any(|known| known.code() == cause.code()) {
            ranked.push(cause);
        }
    }
    ranked.truncate(NAMED);
    ranked
}

fn policy(subject: &Subject, session: &Session, region: &str) -> Cause {
    let user = subject.user.escape_debug();
    let partition = subject
        .endpoint()
        .and_then(|endpoint| endpoint.partition())
        .map_or("aws", |partition| partition.id());
    let who = match &session.identity {
        Some(identity) => identity.arn.clone(),
        None => format!("access key {}", session.key),
    };
    Cause::new(
        Code::Policy,
        format!(
            "perhaps no policy lets {who} log in: allow rds-db:connect on arn:{partition}:rds-db:{region}:ACCOUNT:dbuser:RESOURCE-ID/{user}"
        ),
    )
}

fn refused_credentials(session: &Session, what: &str) -> Cause {
    Cause::new(Code::CredentialsRefused, format!("the credentials of access key {} may {what}", session.key))
}
