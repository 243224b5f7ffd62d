//! How often refusals load credentials: the first after half a minute, then ever more rarely while
//! the same key comes back.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    credential_feature::AwsCredentialFeature as Feature,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use iam_token_provider::{AfterRefusal, IamTokenProvider, TokenRequest};
use token_cache::ManualClock;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn request() -> TokenRequest {
    TokenRequest::database("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").expect("fits")
}

#[derive(Clone, Debug)]
struct Source {
    key: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
    feature: Option<Feature>,
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.calls.fetch_add(1, SeqCst);
        if self.is_down.load(SeqCst) {
            return future::ProvideCredentials::ready(Err(CredentialsError::provider_timed_out(secs(1))));
        }
        let key = format!("AKIA{:04}", self.key.load(SeqCst));
        let mut credentials = Credentials::new(key, "secret", None, None, "test");
        credentials.get_property_mut_or_default::<Vec<Feature>>().extend(self.feature.clone());
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

struct Fixture {
    clock: ManualClock,
    source: Source,
    provider: IamTokenProvider,
}

impl Fixture {
    fn new(feature: Option<Feature>) -> Self {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000));
        let source = Source { key: Arc::default(), calls: Arc::default(), is_down: Arc::default(), feature };
        let provider = IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(source.clone()))
            .clock(Arc::new(clock.clone()))
            .build()
            .expect("builds");
        Self { clock, source, provider }
    }

    /// With credentials that were loaded at this moment.
    async fn loaded(feature: Option<Feature>) -> Self {
        let fixture = Self::new(feature);
        fixture.check(fixture.refuse_after(0).await, 0);
        fixture
    }

    /// Has a login refused after some seconds, and returns what became of it and how many loads it
    /// cost.
    async fn refuse_after(&self, seconds: u64) -> (AfterRefusal, usize) {
        self.clock.advance(secs(seconds));
        let token = self.provider.token(&request()).await.expect("is signed");
        let calls = self.source.calls.load(SeqCst);
        let outcome = self.provider.after_refusal(&token).await;
        (outcome, self.source.calls.load(SeqCst) - calls)
    }

    #[track_caller]
    fn check(&self, refused: (AfterRefusal, usize), loads: usize) {
        assert!(matches!(refused.0, AfterRefusal::SameKey), "{refused:?}");
        assert_eq!(refused.1, loads, "{:?}", self.source.feature);
    }

    /// Asks for a token, and lets a renewal that is due run beside.
    async fn renew(&self) {
        self.provider.token(&request()).await.expect("is signed");
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    async fn accept(&self) {
        self.provider.report_accepted(&self.provider.token(&request()).await.expect("is signed"));
    }
}

const PEOPLE: [Feature; 4] = [
    Feature::CredentialsProcess,
    Feature::CredentialsProfileProcess,
    Feature::CredentialsProfileSso,
    Feature::CredentialsSso,
];

#[tokio::test]
async fn first_load_comes_after_half_a_minute() {
    let fixture = Fixture::new(None);
    fixture.check(fixture.refuse_after(0).await, 0);
    fixture.check(fixture.refuse_after(30).await, 0);
    fixture.check(fixture.refuse_after(1).await, 1);
}

#[tokio::test]
async fn wait_after_the_same_key_is_up_to_a_minute() {
    for feature in [None, Some(Feature::CredentialsImds), Some(Feature::CredentialsEnvVars)] {
        let fixture = Fixture::loaded(feature).await;
        fixture.check(fixture.refuse_after(31).await, 1);
        for _ in 0..10 {
            fixture.check(fixture.refuse_after(45).await, 0);
            fixture.check(fixture.refuse_after(16).await, 1);
        }
    }
}

#[tokio::test]
async fn wait_is_up_to_five_minutes_where_a_person_may_be_asked() {
    for feature in PEOPLE {
        let fixture = Fixture::loaded(Some(feature)).await;
        fixture.check(fixture.refuse_after(31).await, 1);
        for _ in 0..10 {
            fixture.check(fixture.refuse_after(61).await, 0);
            fixture.check(fixture.refuse_after(163).await, 0);
            fixture.check(fixture.refuse_after(77).await, 1);
        }
    }
}

#[tokio::test]
async fn always_refused_hour_asks_a_person_a_dozen_times() {
    for (feature, loads) in [(None, 60..=82), (Some(Feature::CredentialsSso), 13..=18)] {
        let fixture = Fixture::new(feature);
        for _ in 0..3_600 {
            fixture.refuse_after(1).await;
        }
        let calls = fixture.source.calls.load(SeqCst);
        assert!(loads.contains(&calls), "{:?}: {calls}", fixture.source.feature);
    }
}

#[tokio::test]
async fn acceptance_brings_the_short_wait_back() {
    for feature in [None, Some(Feature::CredentialsProcess)] {
        let fixture = Fixture::loaded(feature).await;
        fixture.check(fixture.refuse_after(31).await, 1);
        fixture.check(fixture.refuse_after(31).await, 0);
        fixture.accept().await;
        fixture.check(fixture.refuse_after(1).await, 1);
    }
}

#[tokio::test]
async fn new_key_brings_the_short_wait_back() {
    for feature in [None, Some(Feature::CredentialsProcess)] {
        let fixture = Fixture::loaded(feature).await;
        fixture.check(fixture.refuse_after(31).await, 1);
        fixture.source.key.store(1, SeqCst);
        let (outcome, loads) = fixture.refuse_after(301).await;
        assert!(matches!(outcome, AfterRefusal::NewKey) && loads == 1, "{outcome:?}, {loads}");
        fixture.check(fixture.refuse_after(31).await, 1);
    }
}

#[tokio::test]
async fn new_key_of_a_renewal_brings_the_short_wait_back() {
    for feature in [None, Some(Feature::CredentialsProcess)] {
        let fixture = Fixture::loaded(feature).await;
        fixture.check(fixture.refuse_after(31).await, 1);
        fixture.source.key.store(1, SeqCst);
        // Keys without an end are renewed by themselves before they are 15 minutes old.
        fixture.clock.advance(secs(899));
        fixture.renew().await;
        assert_eq!(fixture.source.calls.load(SeqCst), 3, "renewed beside");
        fixture.check(fixture.refuse_after(31).await, 1);
    }
}

#[tokio::test]
async fn failed_load_is_not_repeated_at_each_refusal() {
    let fixture = Fixture::loaded(None).await;
    fixture.source.is_down.store(true, SeqCst);
    fixture.clock.advance(secs(31));
    let mut loads = 0;
    for _ in 0..30 {
        let (outcome, calls) = fixture.refuse_after(1).await;
        assert!(matches!(outcome, AfterRefusal::Failed(_) | AfterRefusal::SameKey), "{outcome:?}");
        loads += calls;
    }
    assert_eq!(loads, 1);
    fixture.source.is_down.store(false, SeqCst);
    fixture.check(fixture.refuse_after(2).await, 1);
}

#[tokio::test]
async fn acceptance_ends_the_wait_after_a_failed_load() {
    let fixture = Fixture::loaded(None).await;
    fixture.source.is_down.store(true, SeqCst);
    let (outcome, loads) = fixture.refuse_after(31).await;
    assert!(matches!(outcome, AfterRefusal::Failed(_)) && loads == 1, "{outcome:?}, {loads}");
    fixture.source.is_down.store(false, SeqCst);
    fixture.accept().await;
    fixture.check(fixture.refuse_after(1).await, 1);
}

#[tokio::test]
async fn clock_that_was_set_back_makes_no_credentials_young() {
    let fixture = Fixture::loaded(None).await;
    fixture.clock.set(fixture.clock.now() - secs(3_600));
    fixture.check(fixture.refuse_after(0).await, 1);
}

#[tokio::test]
async fn clear_brings_the_short_wait_back() {
    let fixture = Fixture::loaded(None).await;
    fixture.check(fixture.refuse_after(31).await, 1);
    fixture.provider.clear();
    fixture.check(fixture.refuse_after(0).await, 0);
    fixture.check(fixture.refuse_after(31).await, 1);
}
