//! `rds-iam doctor`.

mod certificate;
mod clock;
mod connector;
mod dns;
mod greeting;
mod host;
mod identity;
mod login;
mod proof;
mod report;
mod server;
mod subject;
mod tcp;
mod tls;

use std::{
    env,
    io::{self, Read},
    process::ExitCode,
    time::Duration,
};

use token_cache::Clock;
use wrapper_core::ErrorKind;
use wrapper_iam::SystemClock;

use self::{
    connector::Connector,
    dns::{Aliases, DnsServer},
    identity::{Anonymous, Identity},
    login::Findings,
    report::{Cause, Code, Report, StepName},
    subject::Subject,
};
use crate::{
    cli::DoctorArguments,
    credentials::{self, Reason, Settings, last_four},
    failure::Failure,
    terminal,
    token::timestamp,
};

/// How long a program waits for its credentials.
const CREDENTIALS_LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let url = connection_string(arguments)?;
    let server = arguments
        .dns_server
        .map(DnsServer::new)
        .transpose()
        .map_err(|error| Failure::new("the server of --dns-server cannot be asked").because(error))?;
    let url = url.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let report = examine(url, arguments, server.as_ref()).await;
    let text = match arguments.json {
        true => report.json()?,
        false => report.text(terminal::colours(&io::stdout())),
    };
    terminal::answer(&text)?;
    Ok(ExitCode::from(report.exit_code()))
}

fn connection_string(arguments: &DoctorArguments) -> Result<String, Failure> {
    let nothing = || {
        Failure::new(
            "nothing to examine: pass a connection string, `-` for standard input, or set DATABASE_URL",
        )
    };
    let text = match arguments.url.as_deref() {
        Some("-") => {
            let mut text = String::new();
            let read = io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Failure::new("no url could be read from standard input").because(error))?;
            text
        }
        Some(url) => url.to_owned(),
        None => env::var("DATABASE_URL").map_err(|error| match error {
            env::VarError::NotPresent => nothing(),
            env::VarError::NotUnicode(_) => Failure::new("DATABASE_URL is not UTF-8: set it anew"),
        })?,
    };
    if text.trim().is_empty() { Err(nothing()) } else { Ok(text) }
}

/// Goes through the steps; one that failed does not keep the others from being tried where they can be.
async fn examine(url: &str, arguments: &DoctorArguments, server: Option<&DnsServer>) -> Report {
    let mut report = Report::default();
    let connector = Connector::build(url, server);
    let subject = match (&connector, Subject::read(url)) {
        (Err(error), _) if !matches!(error.kind(), ErrorKind::Host | ErrorKind::Region) => Err(error.clone()),
        (_, subject) => subject,
    };
    let mut subject = match subject {
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
    if host::is_looked_up(&subject) {
        subject.aliases = Some(Aliases::follow(&subject.host, server).await);
    }
    host::report(&mut report, &subject, connector.as_ref().err());
    let addresses = host::resolve(&mut report, &subject, server).await;
    let session = credentials(&mut report, &subject, arguments.sts).await;
    let ahead = clock::report(&mut report, &subject, arguments.time_url.as_deref()).await;
    let stream = match addresses {
        Some(addresses) => tcp::report(&mut report, &subject, &addresses).await,
        None => {
            report.skipped(StepName::Tcp, "no address is known");
            None
        }
    };
    let address = stream.as_ref().and_then(|stream| stream.peer_addr().ok());
    let is_verified = match stream {
        Some(stream) => tls::report(&mut report, &subject, stream).await,
        None => {
            report.skipped(StepName::Tls, "there is no connection");
            false
        }
    };
    match (connector, session, is_verified) {
        (Ok(connector), Some(session), true) => {
            let findings = Findings { subject: &subject, session: &session, address, ahead };
            login::report(&mut report, &connector, &findings).await;
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
    identity: Option<Identity>,
}

async fn credentials(report: &mut Report, subject: &Subject, sts: bool) -> Option<Session> {
    let (profile, now) = (subject.parameter("awsProfile"), SystemClock.now());
    let target = subject.target();
    let region = target.as_ref().ok().map(|target| target.region().to_owned());
    let settings = Settings { profile, region: region.as_deref(), role: subject.role() };
    match credentials::load(settings, now, CREDENTIALS_LIMIT).await {
        Ok(credentials) => {
            let key = last_four(credentials.access_key_id());
            let is_temporary = credentials.session_token().is_some_and(|token| !token.is_empty());
            let expiry = match credentials.expiry() {
                Some(expiry) => format!("expires {}", timestamp(expiry)),
                None if is_temporary => "a session whose end is not known here".to_owned(),
                None => "does not expire".to_owned(),
            };
            let fact = format!("{}, access key {key}, {expiry}", credentials::source(profile));
            let has_expiry = credentials.expiry().is_some();
            let (told, identity) = match subject.target() {
                _ if !sts => (String::new(), None),
                Err(_) => ("; identity not asked, as no region is known".to_owned(), None),
                Ok(target) => match Identity::ask(credentials, target.region()).await {
                    Ok(identity) => (format!(", {}", identity.arn), Some(identity)),
                    Err(Anonymous::Unknown(why)) => (format!("; identity unknown ({why})"), None),
                    Err(Anonymous::Refused { fact: answer, cause }) => {
                        report.failed(StepName::Credentials, format!("{fact}; {answer}"), [cause]);
                        return None;
                    }
                },
            };
            report.ok(StepName::Credentials, fact + &told);
            Some(Session { key, is_temporary, has_expiry, identity })
        }
        Err(none) => {
            let code = match none.reason {
                Reason::Expired => Code::CredentialsExpired,
                Reason::Failed => Code::CredentialsFailed,
                Reason::Missing => Code::CredentialsMissing,
            };
            // Where there are none, the SDK lists all places where it has looked.
            let why = none.cause.filter(|_| none.reason == Reason::Failed);
            let why = why.map(|cause| format!(" ({cause})")).unwrap_or_default();
            report.failed(StepName::Credentials, none.fact + &why, [Cause::new(code, none.remedy)]);
            None
        }
    }
}
