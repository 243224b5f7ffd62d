//! The login, and the causes of its failure.

use std::net::SocketAddr;

use token_cache::Clock;
use wrapper_core::{Error, ErrorKind};
use wrapper_iam::{
    SystemClock,
    diagnosis::{Asked, Facts, log_group},
};

use super::{
    auth_probe,
    cause::{Cause, Code},
    credentials::Session,
    report::{Report, StepName},
};
use crate::{cli::Engine, connector::Connector, target::Target};

/// How many causes are shown.
const NAMED: usize = 3;

/// The results of earlier steps, which explain a refused login.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) target: &'a Target,
    pub(super) session: &'a Session,
    /// The address that answered.
    pub(super) address: Option<SocketAddr>,
    /// By how many seconds this machine's clock is ahead.
    pub(super) ahead: Option<i64>,
}

/// Logs in as a program would, and explains a refusal; returns whether the login succeeded.
pub(super) async fn report(report: &mut Report, connector: &Connector, findings: &Findings<'_>) -> bool {
    let target = findings.target;
    let Err(error) = connector.log_in().await else {
        report.ok(StepName::Login, format!("logged in as `{}`", target.user.escape_debug()));
        return true;
    };
    let fact = match error.server() {
        Some(answer) => answer.to_string(),
        None => crate::failure::chain(&error),
    };
    let causes = match error.kind() {
        ErrorKind::Login if is_explained_by_the_token(&error) => refused(&error, findings).await,
        _ if !error.diagnosis().is_empty() => error.diagnosis().iter().take(NAMED).map(Cause::from).collect(),
        _ => vec![cause(&error)],
    };
    report.failed(StepName::Login, fact, causes);
    // RDS logs IAM failures only, not those of passwords.
    if error.is_login() && target.secret.is_none() {
        report.set_log(target.reached_endpoint().as_ref().and_then(log_group));
    }
    false
}

/// Returns whether the causes are guesses about the token, and not what the server said.
fn is_explained_by_the_token(error: &Error) -> bool {
    error.diagnosis().iter().any(|cause| matches!(cause.code(), "grant-missing" | "policy"))
}

/// Ranks the causes as the library does, with the facts of the earlier steps.
async fn refused(error: &Error, findings: &Findings<'_>) -> Vec<Cause> {
    let Findings { target, session, address, ahead } = *findings;
    let Ok(request) = target.token_request() else {
        return error.diagnosis().iter().take(NAMED).map(Cause::from).collect();
    };
    let mut facts = Facts::new(&request, (&target.host, target.port), target.engine.into());
    facts.answer = error.server().map(|answer| answer.text().to_owned()).unwrap_or_default();
    facts.asked = match (target.engine, address) {
        // MySQL refuses missing users, wrong plugins and wrong tokens with the same text.
        (Engine::Mysql, Some(address)) => match auth_probe::asks_for_token(target, address).await {
            Some(true) => Asked::Token,
            Some(false) => Asked::Password,
            None => Asked::Unknown,
        },
        (Engine::Mysql, None) => Asked::Unknown,
        (Engine::Postgres, _) => Asked::of_postgres(&request, error),
    };
    facts.access_key_id = session.credentials.access_key_id();
    let expiry = session.credentials.expiry();
    facts.has_unknown_end = session.is_temporary() && expiry.is_none();
    facts.credentials_left =
        expiry.map(|expiry| expiry.duration_since(SystemClock.now()).unwrap_or_default());
    facts.clock_ahead = ahead;
    facts.identity = session.identity.as_ref().map(|identity| (&*identity.arn, &*identity.account));
    facts.leads_to = target.mismatched_endpoint();
    facts.causes().iter().take(NAMED).map(Cause::from).collect()
}

/// Returns the cause of a failure that is not a refused token.
fn cause(error: &Error) -> Cause {
    let (code, text) = match error.kind() {
        ErrorKind::Credentials(_) => (
            Code::CredentialsFailed,
            "the credentials could be loaded a moment ago: check that their source always answers",
        ),
        ErrorKind::Connect if error.message().contains("`target_session_attrs`") => (
            Code::Other,
            "the login itself works: use the writer or the reader endpoint, or remove `target_session_attrs`",
        ),
        ErrorKind::Connect | ErrorKind::Timeout => (
            Code::ConnectionClosed,
            "the server closed the connection during the login: check its state and its log",
        ),
        // The MySQL driver uses the platform's TLS library.
        ErrorKind::Tls => {
            (Code::Other, "the system's TLS library rejects what rustls accepted: check its settings")
        }
        ErrorKind::Transient => (Code::NotReady, "the server is not ready yet: try again in a moment"),
        _ => (Code::Other, "check the server's log"),
    };
    Cause::new(code, text)
}
