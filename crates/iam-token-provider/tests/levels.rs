//! What the provider says at which level.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use iam_token_provider::{IamTokenProvider, TokenRequest};
use token_cache::ManualClock;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt,
};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The lines of this crate's events, of the levels that a reader of logs sees.
#[derive(Clone, Default)]
struct TraceCapture(Arc<Mutex<Vec<u8>>>);

impl TraceCapture {
    /// Captures on this thread until the guard is dropped, without the one event that each call
    /// makes.
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(self.clone());
        let targets = Targets::new()
            .with_target("iam_token_provider::provider", LevelFilter::INFO)
            .with_target("iam_token_provider", LevelFilter::TRACE);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer.with_filter(targets)))
    }

    fn count(&self, level: &str, text: &str) -> usize {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let captured = String::from_utf8_lossy(&captured);
        captured.lines().filter(|line| line.contains(level) && line.contains(text)).count()
    }
}

impl Write for TraceCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for TraceCapture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Changes its keys when the old ones have a time left, and gives those until then.
#[derive(Clone, Debug)]
struct Source {
    clock: ManualClock,
    life: u64,
    changes_before_end: u64,
    start: SystemTime,
    is_down: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Source {
    fn new(clock: &ManualClock, life: u64, changes_before_end: u64) -> Self {
        Self {
            clock: clock.clone(),
            life,
            changes_before_end,
            start: clock.now(),
            is_down: Arc::default(),
            calls: Arc::default(),
        }
    }

    fn provider(&self) -> IamTokenProvider {
        IamTokenProvider::builder()
            .credentials_provider(SharedCredentialsProvider::new(self.clone()))
            .clock(Arc::new(self.clock.clone()))
            .build()
            .expect("builds")
    }
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
        let age = self.clock.now().duration_since(self.start).unwrap_or_default().as_secs();
        let period = self.life - self.changes_before_end;
        let number = age / period;
        let end = self.start + secs(number * period + self.life);
        let credentials = Credentials::new(format!("AKIA{number:04}"), "secret", None, Some(end), "test");
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

/// One call per 5 s.
async fn pass(provider: &IamTokenProvider, clock: &ManualClock, seconds: u64) {
    let request =
        TokenRequest::database("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane").expect("fits");
    for _ in 0..seconds / 5 {
        provider.token(&request).await.expect("is signed");
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        clock.advance(secs(5));
    }
}

#[tokio::test]
async fn source_that_changes_keys_minutes_before_their_end_is_worth_no_warning_in_a_day() {
    let capture = TraceCapture::default();
    let _guard = capture.start();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000));
    let source = Source::new(&clock, 6 * 3_600, 300);
    let provider = source.provider();

    pass(&provider, &clock, 86_400).await;

    assert_eq!(capture.count("WARN", ""), 0);
    assert!(capture.count("DEBUG", "the source has no later credentials yet") > 4);
    assert_eq!(capture.count("INFO", "with a new access key"), 4);
    assert_eq!(capture.count("INFO", ""), 4);
    // The refresh window is 15 minutes at most, and the back-off 30 s: 4 changes, and 10 minutes of
    // tries before each.
    let calls = source.calls.load(SeqCst);
    assert!((9..=5 * 30).contains(&calls), "{calls}");
}

#[tokio::test]
async fn source_that_fails_while_its_keys_serve_is_warned_of_once_a_minute() {
    let capture = TraceCapture::default();
    let _guard = capture.start();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_800_000_000));
    let source = Source::new(&clock, 3_600, 1);
    let provider = source.provider();
    pass(&provider, &clock, 5).await;
    source.is_down.store(true, SeqCst);

    pass(&provider, &clock, 3_500).await;

    // For 12 to 15 minutes, each 30 s.
    let warnings = capture.count("WARN", "no AWS credentials");
    assert!((8..=15).contains(&warnings), "{warnings}");
    assert!(provider.stats().renewals_failed > warnings as u64);
    assert_eq!(capture.count("WARN", ""), warnings, "nothing else is warned of");
    assert_eq!(capture.count("INFO", ""), 0);
}
