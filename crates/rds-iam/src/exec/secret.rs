//! Loads user and password from Secrets Manager for the client that `rds-iam exec` runs.

use token_cache::Clock;
use wrapper_core::Error;
use wrapper_iam::SystemClock;
use wrapper_secrets::DatabaseSecret;

use crate::{
    credentials::{self, CredentialOptions},
    failure::Failure,
    secret::{load, provider},
    signing::TIMEOUT,
    target::Target,
};

/// Loads the AWS credentials, and with them the secret that the target names.
pub(super) async fn read(target: &Target) -> Result<DatabaseSecret, Failure> {
    let region = target.region();
    let settings = CredentialOptions { region: region.as_deref(), ..target.credentials() };
    let credentials = credentials::load(settings, SystemClock.now(), TIMEOUT).await?;
    let read = async { load(target, &provider(target, credentials)?).await };
    read.await.map_err(failure)
}

/// Converts an error into a failure whose message includes the likeliest cause and its remedy.
fn failure(error: Error) -> Failure {
    let message = error.diagnosis().first().map(|cause| format!("{}: {cause}", error.message()));
    Failure::from(match message {
        Some(message) => error.with_message(message),
        None => error,
    })
}
