//! Gives a Kafka client an OAUTHBEARER token for MSK with its expiry, and in time a new one.
//!
//! Kafka clients ask for a token with its expiry in milliseconds, and again before that time: in
//! rdkafka by `ClientContext::generate_oauth_token`. The keys are fixed and the clock is manual.

use std::{process::ExitCode, sync::Arc, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use examples::{Result, run};
use iam_token_provider::{Clock, IamTokenProvider, SystemClock, TokenRequest};
use token_cache::ManualClock;

/// A token as Kafka clients take it, with the field names of rdkafka.
struct OAuthToken {
    token: String,
    lifetime_ms: u64,
    principal_name: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(example()).await
}

async fn example() -> Result {
    let clock = ManualClock::at(SystemClock.now());
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "example");
    let provider = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .clock(Arc::new(clock.clone()))
        .build()?;

    let first = oauth_token(&provider).await?;
    say(&format!("sasl.mechanisms=OAUTHBEARER, {} gets {} bytes", first.principal_name, first.token.len()));

    // The client asks again before the expiry, and gets a token that expires later.
    clock.advance(Duration::from_secs(14 * 60 + 30));
    let second = oauth_token(&provider).await?;
    if second.token == first.token || second.lifetime_ms <= first.lifetime_ms {
        return Err("the same token came again".into());
    }
    say(&format!("the next one works {} s longer", (second.lifetime_ms - first.lifetime_ms) / 1000));
    Ok(())
}

/// Does what the client's callback would do.
async fn oauth_token(provider: &IamTokenProvider) -> Result<OAuthToken> {
    let token = provider.token(&TokenRequest::msk("us-east-1")?).await?;
    Ok(OAuthToken {
        token: token.expose().to_owned(),
        lifetime_ms: token.expires_at_millis(),
        principal_name: token.access_key_id().to_owned(),
    })
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: &str) {
    println!("{line}");
}
