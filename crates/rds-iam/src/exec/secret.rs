//! Loads user and password from Secrets Manager for a client.

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

/// Loads credentials and then the secret.
pub(super) async fn read(target: &Target) -> Result<DatabaseSecret, Failure> {
    let region = target.region();
    let settings = CredentialOptions { region: region.as_deref(), ..target.credentials() };
    let credentials = credentials::load(settings, SystemClock.now(), TIMEOUT).await?;
    let read = async { load(target, &provider(target, credentials)?).await };
    read.await.map_err(failure)
}

/// Returns the error with the remedy of its first cause.
fn failure(error: Error) -> Failure {
    let told = error.diagnosis().first().map(|cause| format!("{}: {cause}", error.message()));
    Failure::from(match told {
        Some(told) => error.with_message(told),
        None => error,
    })
}
