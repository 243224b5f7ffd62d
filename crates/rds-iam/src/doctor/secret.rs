//! The secret that holds user and password.

use wrapper_core::{Error, text::escape_control};
use wrapper_secrets::SecretProvider;

use super::{
    cause::{Cause, Code},
    credentials::Session,
    report::{Report, StepName},
};
use crate::{failure::chain, secret, target::Target};

/// Loads the secret, where the target has one, and notes the user in it.
pub(super) async fn report(
    report: &mut Report,
    target: &mut Target,
    session: Option<&Session>,
) -> Option<SecretProvider> {
    let id = target.secret.as_deref().map(escape_control)?;
    let Some(session) = session else {
        report.skipped(StepName::Secret, "there are no credentials to ask for it with");
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

/// Takes an error apart into what is wrong and what to do.
fn explained(error: &Error) -> (String, Vec<Cause>) {
    if !error.diagnosis().is_empty() {
        // The causes are shown by themselves, and the service's own words after the message.
        let words = std::error::Error::source(error).map(|source| format!(": {}", chain(source)));
        let fact = format!("{}{}", error.message(), words.unwrap_or_default());
        return (fact, error.diagnosis().iter().map(Cause::from).collect());
    }
    let text = chain(error);
    let general = "try `aws secretsmanager get-secret-value`, which asks the same service";
    let (fact, remedy) = text.split_once(": ").unwrap_or((&text, general));
    (fact.to_owned(), vec![Cause::new(Code::Secret, remedy)])
}
