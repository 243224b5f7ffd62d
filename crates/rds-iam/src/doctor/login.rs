//! The login, and what a refusal most likely means.

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{Error, ErrorKind};
use wrapper_pg::Connector;

use super::{
    Session,
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};

/// A clock that is off by more may be why a token is refused: SigV4 allows five minutes elsewhere.
const SUSPICIOUS: u64 = 240;

/// As many causes as people read.
const NAMED: usize = 3;

/// Logs in as a program would, and explains a refusal.
pub(super) async fn report(
    report: &mut Report,
    subject: &Subject,
    connector: &Connector,
    session: &Session,
    ahead: Option<i64>,
) {
    let error = match connector.connect().await {
        Ok((client, connection)) => {
            drop(client);
            // The connection only says goodbye here.
            let _ = connection.await;
            report.ok(StepName::Login, format!("logged in as `{}`", subject.user.escape_debug()));
            return;
        }
        Err(error) => error,
    };
    let fact = match error.server() {
        Some(answer) => answer.to_string(),
        None => crate::failure::chain(&error),
    };
    let causes = causes(&error, subject, session, ahead);
    let is_refusal = error.is_login();
    report.failed(StepName::Login, fact, causes);
    if is_refusal {
        report.set_log(log(subject));
    }
}

fn causes(error: &Error, subject: &Subject, session: &Session, ahead: Option<i64>) -> Vec<Cause> {
    let user = subject.user.escape_debug();
    let one = |code, text: &str| vec![Cause::new(code, text)];
    match (error.kind(), error.server().map(|answer| answer.code())) {
        // The server asked for a token, as the user has rds_iam, and did not like what it got.
        (ErrorKind::Login, _) if error.may_be_stale_password() => token_refused(subject, session, ahead),
        (ErrorKind::Login, _) => vec![
            Cause::new(
                Code::GrantMissing,
                format!("the server asked for a password and not for a token: GRANT rds_iam TO \"{user}\""),
            ),
            Cause::new(
                Code::NoSuchUser,
                format!("there may be no user `{user}`: check its spelling and case"),
            ),
            Cause::new(
                Code::IamDisabled,
                "IAM authentication may be off for this instance or cluster: enable it".to_owned(),
            ),
        ],
        (ErrorKind::Configuration, Some("28000")) => one(
            Code::NoAccessRule,
            "the server's rules know no such user, database and kind of connection: check user and database",
        ),
        (ErrorKind::Configuration, Some("3D000")) => {
            one(Code::NoDatabase, "there is no such database: check its name")
        }
        (ErrorKind::Throttled, _) => {
            one(Code::Throttled, "the server limits new connections for now: wait, and use a pool")
        }
        (ErrorKind::Transient, _) => {
            one(Code::NotReady, "the server is not ready yet: try again in a moment")
        }
        (ErrorKind::Connect | ErrorKind::Timeout, _) => one(
            Code::ConnectionClosed,
            "the server broke off during the login: look at its state and its log",
        ),
        _ => one(Code::Other, "look at the server's log"),
    }
}

/// Ranks why a token is refused, which the server never says: what was found wrong, then what is most often.
fn token_refused(subject: &Subject, session: &Session, ahead: Option<i64>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let endpoint = subject.endpoint();
    let signed_region = subject.target().map(|target| target.region().to_owned()).unwrap_or_default();
    let named = endpoint.as_ref().and_then(Endpoint::region).filter(|named| *named != signed_region);
    if let Some(named) = named {
        causes.push(Cause::new(
            Code::Region,
            format!(
                "the token is signed for {signed_region} and the name says {named}: leave `iamRegion` out"
            ),
        ));
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
    if session.is_temporary && !session.has_expiry {
        causes.push(refused_credentials(session, "have ended, or be of another account: renew the session"));
    }
    if endpoint.as_ref().is_some_and(|endpoint| endpoint.kind() == EndpointKind::GlobalWriter) {
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
    causes.push(refused_credentials(
        session,
        "be revoked or of another account: try `aws sts get-caller-identity`",
    ));
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
    Cause::new(
        Code::Policy,
        format!(
            "perhaps no policy lets access key {} log in: allow rds-db:connect on arn:{partition}:rds-db:{region}:ACCOUNT:dbuser:RESOURCE-ID/{user}",
            session.key
        ),
    )
}

fn refused_credentials(session: &Session, what: &str) -> Cause {
    Cause::new(Code::CredentialsRefused, format!("the credentials of access key {} may {what}", session.key))
}

/// The log group to look at, where it is exported: it names the reason.
fn log(subject: &Subject) -> Option<String> {
    let endpoint = subject.endpoint().filter(Endpoint::is_rds)?;
    let id = endpoint.id()?;
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
