//! Credential events for the listeners of a connector or pool.

use iam_token_provider::{IamTokenProvider, Listening};
use wrapper_core::{
    Event, Events,
    events::{CredentialsFailed, CredentialsLoaded},
};

use crate::connect_error;

/// Notifies these listeners of loaded credentials and failed loads for as long as the returned
/// guards are held.
///
/// Returns `None` without listeners.
pub fn tell_of_credentials(tokens: &IamTokenProvider, events: &Events) -> Option<[Listening; 2]> {
    if events.is_empty() {
        return None;
    }
    let (on_load, on_failure) = (events.clone(), events.clone());
    let loads = tokens.on_load(move |loaded| {
        let mut event = CredentialsLoaded::new(&*loaded.access_key, &*loaded.source);
        (event.is_new_key, event.expires_at) = (loaded.is_new_key, loaded.expires_at);
        on_load.emit(&Event::CredentialsLoaded(event));
    });
    let failures = tokens.on_failure(move |failed| {
        let error = connect_error(&failed.error);
        let event = CredentialsFailed::new(error, failed.failures, &*failed.source);
        on_failure.emit(&Event::CredentialsFailed(event));
    });
    Some([loads, failures])
}
