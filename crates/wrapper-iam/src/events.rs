//! Telling the listeners of a connector or a pool of credentials.

use iam_token_provider::{IamTokenProvider, Listening};
use wrapper_core::{CredentialsLoaded, Event, Events};

/// Tells these listeners of credentials that the provider loads, as long as what it gives is held.
///
/// `None` where nobody listens.
pub fn tell_of_credentials(tokens: &IamTokenProvider, events: &Events) -> Option<Listening> {
    if events.is_empty() {
        return None;
    }
    let events = events.clone();
    Some(tokens.on_load(move |loaded| {
        let mut event = CredentialsLoaded::new(&*loaded.access_key, &*loaded.source);
        (event.is_new_key, event.expires_at) = (loaded.is_new_key, loaded.expires_at);
        events.emit(&Event::CredentialsLoaded(event));
    }))
}
