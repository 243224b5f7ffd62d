//! The credentials that sign tokens, and their owner.

use aws_credential_types::Credentials;
use token_cache::Clock;
use wrapper_iam::{SystemClock, masked_key_id};

use super::{
    cause::{Cause, Code},
    identity::{Identity, IdentityError},
    report::{Report, StepName},
};
use crate::{
    credentials::{self, CredentialOptions, Reason},
    signing::TIMEOUT,
    target::Target,
    token::timestamp,
};

/// The credentials that were loaded, and their owner if STS was asked.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) credentials: Credentials,
    pub(super) identity: Option<Identity>,
}

impl Session {
    /// Returns whether these are credentials of a session.
    pub(super) fn is_temporary(&self) -> bool {
        self.credentials.session_token().is_some_and(|token| !token.is_empty())
    }
}

/// Loads the credentials, and with `sts` asks for their owner.
pub(super) async fn report(report: &mut Report, target: &Target, sts: bool) -> Option<Session> {
    let region = target.region();
    let region = region.as_deref();
    let settings = CredentialOptions { region, ..target.credentials() };
    let source = credentials::source(settings.profile);
    let credentials = match credentials::load(settings, SystemClock.now(), TIMEOUT).await {
        Ok(credentials) => credentials,
        Err(none) => {
            let code = match none.reason {
                Reason::Expired => Code::CredentialsExpired,
                Reason::Failed => Code::CredentialsFailed,
                Reason::Missing => Code::CredentialsMissing,
            };
            // For missing credentials the SDK lists every place that it tried.
            let why = none.cause.filter(|_| none.reason == Reason::Failed);
            let why = why.map(|cause| format!(" ({cause})")).unwrap_or_default();
            report.failed(StepName::Credentials, none.fact + &why, [Cause::new(code, none.remedy)]);
            return None;
        }
    };
    let mut session = Session { credentials, identity: None };
    let expiry = match session.credentials.expiry() {
        Some(expiry) => format!("expires {}", timestamp(expiry)),
        None if session.is_temporary() => "temporary, with an unknown expiry".to_owned(),
        None => "does not expire".to_owned(),
    };
    let key = masked_key_id(session.credentials.access_key_id());
    let fact = format!("{source}, access key {key}, {expiry}");
    let identity_note = match region {
        _ if !sts => String::new(),
        None => "; identity not asked, as no region is known".to_owned(),
        Some(region) => match Identity::ask(session.credentials.clone(), region).await {
            Ok(identity) => {
                let identity_note = format!(", {}", identity.arn);
                session.identity = Some(identity);
                identity_note
            }
            Err(IdentityError::Unknown(why)) => format!("; identity unknown ({why})"),
            Err(IdentityError::Refused { fact: answer, cause }) => {
                report.failed(StepName::Credentials, format!("{fact}; {answer}"), [cause]);
                return None;
            }
        },
    };
    report.ok(StepName::Credentials, fact + &identity_note);
    Some(session)
}
