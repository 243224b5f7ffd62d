//! Loads the secret with user and password.

use wrapper_core::{Error, text::escape_control};
use wrapper_secrets::SecretProvider;

use super::{
    cause::{Cause, Code},
    credentials::Session,
    report::{Report, StepName},
};
use crate::{failure::chain, secret, target::Target};

/// Loads the secret, if the target has one, and records its user.
pub(super) async fn report(
    report: &mut Report,
    target: &mut Target,
    session: Option<&Session>,
) -> Option<SecretProvider> {
    let id = target.secret.as_deref().map(escape_control)?;
    let Some(session) = session else {
        report.skipped(StepName::Secret, "no credentials to load it with");
        return None;
    };
    let loaded = async {
        let secrets = secret::provider(target, session.credentials.clone())?;
        let secret = secret::load(target, &secrets).await?;
        Ok((secrets, secret))
    };
    let (secrets, secret) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => {
            let (fact, causes) = explained(&error);
            report.failed(StepName::Secret, fact, causes);
            return None;
        }
    };
    target.set_user(secret.user());
    report.set_user(secret.user());
    let (region, user, version) = (secrets.region(), escape_control(secret.user()), secret.version_id());
    report.ok(StepName::Secret, format!("`{id}` in {region}, version {version}, is for user `{user}`"));
    Some(secrets)
}

/// Splits an error into fact and causes.
fn explained(error: &Error) -> (String, Vec<Cause>) {
    if !error.diagnosis().is_empty() {
        // The causes are listed separately, so the fact is the message and the service's text.
        let words = std::error::Error::source(error).map(|source| format!(": {}", chain(source)));
        let fact = format!("{}{}", error.message(), words.unwrap_or_default());
        return (fact, error.diagnosis().iter().map(Cause::from).collect());
    }
    let text = chain(error);
    let general = "try `aws secretsmanager get-secret-value`, which calls the same service";
    let (fact, remedy) = text.split_once(": ").unwrap_or((&text, general));
    (fact.to_owned(), vec![Cause::new(Code::Secret, remedy)])
}
