//! A token provider with the server's key and clock.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use iam_token_provider::{Clock, IamTokenProvider};

use crate::access_key::AccessKey;
use crate::error::{Error, Result};
use crate::token_policy::TokenPolicy;

/// The clock of a server, for the code under test.
#[derive(Debug)]
struct ServerClock(TokenPolicy);

impl Clock for ServerClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let token_policy = self.0.clone();
        Box::pin(async move {
            // Subscribed before the time is read, so that a move in between ends the sleep.
            let mut moves = token_policy.moves();
            loop {
                let left = deadline.duration_since(token_policy.now()).unwrap_or_default();
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    // The sender lives in `token_policy`.
                    _ = moves.changed() => {}
                }
            }
        })
    }
}

/// Creates a provider that signs with `key`, on the clock of `token_policy`.
pub(crate) fn provider(key: &AccessKey, token_policy: &TokenPolicy) -> Result<IamTokenProvider> {
    let session_token = key.session_token().map(str::to_owned);
    let (id, secret) = (key.access_key_id(), key.secret_access_key());
    let credentials = Credentials::new(id, secret, session_token, None, "rds-testkit");
    IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .clock(Arc::new(ServerClock(token_policy.clone())))
        .build()
        .map_err(|error| Error::configuration(format!("no token provider: {error}")))
}
