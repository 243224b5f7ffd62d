//! Logs the `redis` client in to ElastiCache with IAM tokens, also after the first one expires.
//!
//! It uses a cache on 127.0.0.1 that checks tokens, and a manual clock. A real cache needs TLS:
//! `rediss://`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use examples::{Result, resp::Cache, run};
use iam_token_provider::{Clock, IamToken, IamTokenProvider, SystemClock, TokenRequest};
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, aio::MultiplexedConnection};
use token_cache::ManualClock;

const CACHE: &str = "orders";
const USER: &str = "app";
const REGION: &str = "us-east-2";
const KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "the-secret-of-the-key");

#[tokio::main]
async fn main() -> ExitCode {
    run(example()).await
}

async fn example() -> Result {
    let clock = ManualClock::at(SystemClock.now());
    let (name, region, user) = (CACHE.to_owned(), REGION.to_owned(), USER.to_owned());
    let cache = Cache { name, region, user, key: (KEY.0.to_owned(), KEY.1.to_owned()) };
    let port = cache.serve(Arc::new(clock.clone())).await?;

    // Without a credentials provider, the AWS default chain is used.
    let credentials = Credentials::new(KEY.0, KEY.1, None, None, "example");
    let provider = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .clock(Arc::new(clock.clone()))
        .build()?;
    let request = TokenRequest::elasticache(CACHE, USER, REGION)?;

    let first = provider.token(&request).await?;
    ping(&mut connect(port, &first).await?).await?;
    provider.report_accepted(&first);
    say(&format!("let in with a token that works for {:?}", first.remaining(clock.now())));

    clock.advance(Duration::from_secs(16 * 60));
    if connect(port, &first).await.is_ok() {
        return Err("a token was let in after its end".into());
    }
    say("16 minutes later the cache refuses it");

    // The provider knows the expiry: it signs a new token without having seen the refusal.
    let second = provider.token(&request).await?;
    ping(&mut connect(port, &second).await?).await?;
    say("a new one is let in");
    Ok(())
}

async fn connect(port: u16, token: &IamToken) -> Result<MultiplexedConnection> {
    let settings = RedisConnectionInfo::default().set_username(USER).set_password(token.expose());
    let address = ConnectionAddr::Tcp("127.0.0.1".to_owned(), port);
    let client = redis::Client::open(address.into_connection_info()?.set_redis_settings(settings))?;
    Ok(client.get_multiplexed_async_connection().await?)
}

async fn ping(connection: &mut MultiplexedConnection) -> Result {
    let answer: String = redis::cmd("PING").query_async(connection).await?;
    if answer == "PONG" { Ok(()) } else { Err(format!("the cache answered {answer}").into()) }
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn say(line: &str) {
    println!("{line}");
}
