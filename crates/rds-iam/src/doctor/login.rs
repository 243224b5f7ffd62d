//! The login, and what came of it.

use std::net::SocketAddr;

use host_pattern::{Endpoint, EndpointKind};
use wrapper_core::{Error, ErrorKind};

use super::{
    Session,
    connector::Connector,
    proof, refusal,
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};
use crate::cli::Engine;

/// What was found before the login, to explain a refusal with.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) subject: &'a Subject,
    pub(super) session: &'a Session,
    /// The address that answered.
    pub(super) address: Option<SocketAddr>,
    /// By how many seconds this machine's clock is ahead.
    pub(super) ahead: Option<i64>,
}

/// Logs in as a program would, and explains a refusal.
pub(super) async fn report(report: &mut Report, connector: &Connector, findings: &Findings<'_>) {
    let subject = findings.subject;
    let Err(error) = connector.log_in().await else {
        report.ok(StepName::Login, format!("logged in as `{}`", subject.user.escape_debug()));
        return;
    };
    let fact = match error.server() {
        Some(answer) => answer.to_string(),
        None => crate::failure::chain(&error),
    };
    let causes = match error.kind() {
        ErrorKind::Login => refused(&error, findings).await,
        _ => vec![cause(&error, subject)],
    };
    report.failed(StepName::Login, fact, causes);
    if error.is_login() {
        report.set_log(log(subject));
    }
}

async fn refused(error: &Error, findings: &Findings<'_>) -> Vec<Cause> {
    let Findings { subject, address, .. } = findings;
    let asks_for_token = match (subject.engine, address) {
        // MySQL refuses whoever it is in the same words.
        (Engine::Mysql, Some(address)) if error.may_be_stale_password() => {
            proof::is_a_token(subject, *address).await
        }
        (Engine::Mysql, _) if error.may_be_stale_password() => None,
        (Engine::Mysql, _) => {
            let user = subject.user.escape_debug();
            let text = format!("the account is locked: ALTER USER '{user}' ACCOUNT UNLOCK");
            return vec![Cause::new(Code::AccountLocked, text)];
        }
        // The server asked for a token, as the user has rds_iam, and did not like what it got.
        (Engine::Postgres, _) => Some(error.may_be_stale_password()),
    };
    match asks_for_token {
        Some(false) => refusal::password_wanted(subject),
        Some(true) => refusal::token_refused(findings, None),
        None => refusal::token_refused(findings, Some(refusal::grant(subject))),
    }
}

/// What is to be done about an answer that has one meaning.
fn cause(error: &Error, subject: &Subject) -> Cause {
    let user = subject.user.escape_debug();
    let (code, text) = match (error.kind(), error.server().map(|answer| answer.code())) {
        (ErrorKind::Configuration, Some("28000")) => (
            Code::NoAccessRule,
            "the server's rules know no such user, database and kind of connection: check user and database",
        ),
        (ErrorKind::Configuration, Some("3D000" | "1049")) => {
            (Code::NoDatabase, "there is no such database: check its name")
        }
        (ErrorKind::Configuration, Some("1044")) => {
            let text =
                format!("the user has no privileges on the database: GRANT … ON the database TO '{user}'");
            return Cause::new(Code::NoAccessRule, text);
        }
        (ErrorKind::Configuration, Some("1129" | "1130")) => (
            Code::NoAccessRule,
            "the server takes no connections from this machine's address: see which hosts its users may come from, or FLUSH HOSTS",
        ),
        (ErrorKind::Throttled, _) => {
            (Code::Throttled, "the server limits new connections for now: wait, and use a pool")
        }
        (ErrorKind::Transient, _) => (Code::NotReady, "the server is not ready yet: try again in a moment"),
        (ErrorKind::Timeout, Some(_)) => {
            (Code::NotReady, "the proxy got no connection to the database: look at the database's state")
        }
        (ErrorKind::Credentials(_), _) => (
            Code::CredentialsFailed,
            "the same credentials were there a moment ago: see that their source answers each time",
        ),
        (ErrorKind::Connect, None) if error.to_string().contains("`target_session_attrs`") => (
            Code::Other,
            "the login itself is right: name the writer or the reader endpoint, or leave `target_session_attrs` out",
        ),
        (ErrorKind::Connect | ErrorKind::Timeout, _) => {
            (Code::ConnectionClosed, "the server broke off during the login: look at its state and its log")
        }
        // MySQL's driver verifies by the library of the platform.
        (ErrorKind::Tls, None) => {
            (Code::Other, "the tls library of this system refuses what rustls took: look at its settings")
        }
        _ => (Code::Other, "look at the server's log"),
    };
    Cause::new(code, text)
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
