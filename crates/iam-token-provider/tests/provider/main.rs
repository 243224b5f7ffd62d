//! What users of the provider rely on.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

mod clearing;
mod failures;
mod refusals;
mod renewal;
mod requests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use iam_token_provider::{IamTokenProvider, IamTokenProviderBuilder, TokenRequest};
use token_cache::ManualClock;

const HOST: &str = "db.abc123.us-east-2.rds.amazonaws.com";

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000))
}

fn request() -> TokenRequest {
    TokenRequest::database(HOST, 5432, "jane").expect("fits")
}

/// Gives keys with a life, or without one if it is 0.
#[derive(Clone, Debug)]
struct Source {
    clock: ManualClock,
    life: Arc<AtomicU64>,
    key: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

impl Source {
    fn new(clock: &ManualClock, life: u64) -> Self {
        Self {
            clock: clock.clone(),
            life: Arc::new(life.into()),
            key: Arc::default(),
            calls: Arc::default(),
            is_down: Arc::default(),
            hangs: Arc::default(),
        }
    }

    fn builder(&self) -> IamTokenProviderBuilder {
        IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(self.clone()))
            .clock(Arc::new(self.clock.clone()))
    }

    fn provider(&self) -> IamTokenProvider {
        self.builder().build().expect("builds")
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.calls.fetch_add(1, SeqCst);
        let key = format!("AKIA{:04}", self.key.load(SeqCst));
        let end =
            Some(self.life.load(SeqCst)).filter(|life| *life > 0).map(|life| self.clock.now() + secs(life));
        future::ProvideCredentials::new(async move {
            if self.hangs.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.is_down.load(SeqCst) {
                return Err(CredentialsError::provider_timed_out(secs(1)));
            }
            Ok(Credentials::new(key, "secret", None, end, "test"))
        })
    }
}

/// Lets a renewal that was spawned run to its end.
async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
