//! `rds-iam doctor`.

mod certificate;
mod clock;
mod host;
mod login;
mod report;
mod subject;
mod tcp;
mod tls;

use std::{
    env,
    io::{self, Read},
    process::ExitCode,
};

use token_cache::Clock;
use wrapper_core::ErrorKind;
use wrapper_iam::SystemClock;

use self::{
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};
use crate::{
    cli::DoctorArguments,
    credentials::{self, Reason, last_four},
    failure::Failure,
    terminal,
    token::timestamp,
};

pub(crate) async fn run(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let url = connection_string(arguments)?;
    let report = examine(url.trim(), arguments.time_url.as_deref()).await;
    let text = match arguments.json {
        true => report.json()?,
        false => report.text(terminal::colours(&io::stdout())),
    };
    terminal::answer(&text)?;
    Ok(ExitCode::from(report.exit_code()))
}

fn connection_string(arguments: &DoctorArguments) -> Result<String, Failure> {
    match arguments.url.as_deref() {
        Some("-") => {
            let mut text = String::new();
            let read = io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Failure::new("no url could be read from standard input").because(error))?;
            Ok(text)
        }
        Some(url) => Ok(url.to_owned()),
        None => env::var("DATABASE_URL").map_err(|_| {
            Failure::new(
                "nothing to examine: pass a connection string, `-` for standard input, or set DATABASE_URL",
            )
        }),
    }
}

/// Goes through the steps; one that failed does not keep the others from being tried where they can be.
async fn examine(url: &str, time_url: Option<&str>) -> Report {
    let mut report = Report::default();
    let connector = subject::connector(url);
    let subject = match (&connector, Subject::read(url)) {
        (Err(error), _) if !matches!(error.kind(), ErrorKind::Host | ErrorKind::Region) => Err(error.clone()),
        (_, subject) => subject,
    };
    let subject = match subject {
        Ok(subject) => subject,
        Err(error) => {
            let text = crate::failure::chain(&error);
            report.failed(
                StepName::Parameters,
                "the connection string cannot be used",
                [Cause::new(Code::Parameters, text)],
            );
            report.skip_rest("the parameters are wrong");
            return report;
        }
    };
    subject.report(&mut report);
    host::report(&mut report, &subject, connector.as_ref().err());
    let addresses = host::resolve(&mut report, &subject).await;
    let session = credentials(&mut report, &subject).await;
    let ahead = clock::report(&mut report, &subject, time_url).await;
    let stream = match addresses {
        Some(addresses) => tcp::report(&mut report, &subject, &addresses).await,
        None => {
            report.skipped(StepName::Tcp, "no address is known");
            None
        }
    };
    let is_verified = match stream {
        Some(stream) => tls::report(&mut report, &subject, stream).await,
        None => {
            report.skipped(StepName::Tls, "there is no connection");
            false
        }
    };
    match (connector, session, is_verified) {
        (Ok(connector), Some(session), true) => {
            login::report(&mut report, &subject, &connector, &session, ahead).await;
        }
        _ => report.skipped(StepName::Login, "a step before it failed"),
    }
    report
}

/// What is known of the credentials when a login was refused.
#[derive(Debug)]
struct Session {
    key: String,
    is_temporary: bool,
    has_expiry: bool,
}

async fn credentials(report: &mut Report, subject: &Subject) -> Option<Session> {
    let (profile, now) = (subject.parameter("awsProfile"), SystemClock.now());
    match credentials::load(profile, now).await {
        Ok(credentials) => {
            let key = last_four(credentials.access_key_id());
            let is_temporary = credentials.session_token().is_some_and(|token| !token.is_empty());
            let expiry = match credentials.expiry() {
                Some(expiry) => format!("expires {}", timestamp(expiry)),
                None if is_temporary => "a session whose end is not known here".to_owned(),
                None => "does not expire".to_owned(),
            };
            let source = credentials::source(profile);
            report.ok(StepName::Credentials, format!("{source}, access key {key}, {expiry}"));
            Some(Session { key, is_temporary, has_expiry: credentials.expiry().is_some() })
        }
        Err(none) => {
            let code = match none.reason {
                Reason::Expired => Code::CredentialsExpired,
                Reason::Failed => Code::CredentialsFailed,
                Reason::Missing => Code::CredentialsMissing,
            };
            report.failed(StepName::Credentials, none.fact, [Cause::new(code, none.remedy)]);
            None
        }
    }
}
