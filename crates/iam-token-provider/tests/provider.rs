//! What users of the provider rely on.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use iam_token_provider::{
    CredentialsFailure, Error, ErrorKind, IamTokenProvider, IamTokenProviderBuilder, TokenRequest,
};
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

/// One call per 5 s for some days; no load but the first makes a caller wait.
async fn days(days: u64, life: u64, targets: usize) {
    let clock = clock();
    let source = Source::new(&clock, life);
    let provider = source.provider();
    let requests: Vec<_> = (0..targets)
        .map(|target| {
            TokenRequest::database(&format!("db{target}.abc123.us-east-2.rds.amazonaws.com"), 5432, "jane")
        })
        .collect::<Result<_, _>>()
        .expect("fit");
    for _ in 0..days * 86_400 / 5 {
        for request in &requests {
            provider.token(request).await.expect("is signed");
        }
        settle().await;
        clock.advance(secs(5));
    }
    let stats = provider.stats();
    assert_eq!(stats.credentials_waits, 1, "{life} s, {targets} targets: {stats:?}");
    assert!(stats.credentials_calls > 1, "{stats:?}");
}

#[tokio::test]
async fn credentials_are_renewed_before_anybody_waits_for_seven_days() {
    for life in [0, 900, 3_600, 6 * 3_600] {
        days(7, life, 1).await;
        days(1, life, 20).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn credentials_of_many_targets_are_renewed_for_seven_days() {
    for life in [0, 900, 3_600, 6 * 3_600] {
        days(7, life, 20).await;
    }
}

#[tokio::test]
async fn source_that_is_down_for_an_hour_fails_from_the_expiry_on() {
    for life in [0, 900, 1_800] {
        let clock = clock();
        let source = Source::new(&clock, life);
        let provider = source.provider();
        provider.token(&request()).await.expect("is signed");
        source.is_down.store(true, SeqCst);
        for second in 0..3_600 {
            let is_alive = life == 0 || second < life;
            let token = provider.token_within(&request(), Duration::ZERO).await;
            assert_eq!(token.is_ok(), is_alive, "{life} s, after {second} s: {token:?}");
            settle().await;
            clock.advance(secs(1));
        }
    }
}

#[tokio::test]
async fn clear_keeps_nothing_that_was_in_flight() {
    let clock = clock();
    let source = Source::new(&clock, 0);
    let provider = source.provider();
    source.hangs.store(true, SeqCst);
    let (old_request, waiting) = (request(), provider.clone());
    let mut caller = Box::pin(async move { waiting.token(&old_request).await });
    let mut cx = Context::from_waker(Waker::noop());
    assert!(caller.as_mut().poll(&mut cx).is_pending());
    source.hangs.store(false, SeqCst);
    source.key.store(1, SeqCst);
    provider.clear();
    let new = provider.token(&request()).await.expect("is signed");
    assert_eq!((new.access_key_id(), new.is_fresh()), ("AKIA0001", true));
    drop(caller);

    // Nor a token whose credentials were at hand before.
    let slow = Source::new(&clock, 0);
    let provider = slow.provider();
    let (gate, opened) = tokio::sync::oneshot::channel::<()>();
    let opened = std::sync::Mutex::new(Some(opened));
    let identity_key = slow.key.clone();
    let gated = IamTokenProvider::builder()
        .identity(move || {
            let opened = opened.lock().expect("no test panics").take();
            let key = format!("AKIA{:04}", identity_key.load(SeqCst));
            async move {
                if let Some(opened) = opened {
                    opened.await?;
                }
                Ok(Credentials::new(key, "secret", None, None, "test").into())
            }
        })
        .clock(Arc::new(clock.clone()))
        .build()
        .expect("builds");
    drop(provider);
    let waiting = gated.clone();
    let caller =
        tokio::spawn(
            async move { waiting.token(&request()).await.map(|token| token.access_key_id().to_owned()) },
        );
    settle().await;
    gated.clear();
    slow.key.store(1, SeqCst);
    gate.send(()).expect("is waited for");
    assert_eq!(caller.await.expect("no panic").expect("is signed"), "AKIA0000");
    assert_eq!(gated.token(&request()).await.expect("is signed").access_key_id(), "AKIA0001");
}

/// The tokens take a while to be dropped, during which callers go on asking. Since the credentials
/// go first, no caller signs a token of the new epoch with the former ones.
#[test]
fn clear_beside_a_caller_leaves_no_token_of_the_former_credentials() {
    let session = Arc::new(AtomicUsize::new(0));
    let loaded = Arc::clone(&session);
    let provider = IamTokenProvider::builder()
        .identity(move || {
            let session = format!("session{}", loaded.load(SeqCst));
            async { Ok(Credentials::new("AKIAEXAMPLE", "secret", Some(session), None, "test").into()) }
        })
        .build()
        .expect("builds");
    let ask = |target: u16| {
        let request = TokenRequest::database(HOST, target, "jane").expect("fits");
        let call = std::pin::pin!(provider.token(&request));
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(token) => token.expect("is signed"),
            Poll::Pending => panic!("the source answers at once"),
        }
    };
    for round in 1..=3 {
        for target in 1..=5_000 {
            ask(target);
        }
        let (asked, is_cleared) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_cleared.load(SeqCst) {
                    ask(1);
                    asked.fetch_add(1, SeqCst);
                }
            });
            while asked.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            session.store(round, SeqCst);
            provider.clear();
            is_cleared.store(true, SeqCst);
        });
        assert!(ask(1).expose().contains(&format!("session{round}")), "round {round}");
    }
}

#[tokio::test]
async fn keys_that_always_look_short_are_loaded_once_in_five_seconds() {
    let clock = clock();
    let source = Source::new(&clock, 50);
    let provider = source.provider();
    for _ in 0..600 {
        let token = provider.token(&request()).await.expect("they serve while they are valid");
        assert!(token.expires_at() > clock.now());
        settle().await;
        clock.advance(secs(1));
    }
    assert!(source.calls.load(SeqCst) <= 600 / 5 + 1, "{}", source.calls.load(SeqCst));
}

#[tokio::test]
async fn reported_refusal_loads_anew_at_the_next_call_and_not_more_often() {
    let clock = clock();
    let source = Source::new(&clock, 0);
    let provider = source.provider();
    let token = provider.token(&request()).await.expect("is signed");
    provider.report_accepted(&token);
    clock.advance(secs(31));
    source.key.store(1, SeqCst);
    provider.report_refused(&token);
    let token = provider.token(&request()).await.expect("is signed");
    assert_eq!((token.access_key_id(), token.is_fresh()), ("AKIA0001", true));
    // The same key again: one load for any number of refusals.
    for _ in 0..10 {
        clock.advance(secs(4));
        provider.report_refused(&provider.token(&request()).await.expect("is signed"));
    }
    assert_eq!(source.calls.load(SeqCst), 3);
    assert_eq!((provider.stats().logins_refused, provider.stats().last_accepted.is_some()), (11, true));
}

#[tokio::test]
async fn reported_refusal_is_looked_after_by_one_call() {
    let clock = clock();
    let source = Source::new(&clock, 0);
    let provider = source.provider();
    let token = provider.token(&request()).await.expect("is signed");
    clock.advance(secs(31));
    provider.report_refused(&token);
    for _ in 0..5 {
        provider.token_within(&request(), Duration::ZERO).await.expect("is signed");
        clock.advance(secs(61));
    }
    assert_eq!(source.calls.load(SeqCst), 2);
}

#[tokio::test]
async fn token_of_a_former_key_counts_as_absent() {
    let clock = clock();
    let source = Source::new(&clock, 0);
    let provider = source.provider();
    let other = TokenRequest::elasticache("orders", "app", "us-east-2").expect("fits");
    let token = provider.token(&request()).await.expect("is signed");
    provider.token(&other).await.expect("is signed");
    clock.advance(secs(31));
    source.key.store(1, SeqCst);
    provider.after_refusal(&token).await;
    assert_eq!(provider.token(&other).await.expect("is signed").access_key_id(), "AKIA0001");
}

#[tokio::test]
async fn token_that_another_task_signed_with_the_former_key_is_not_handed_out() {
    let clock = clock();
    let (gate, opened) = tokio::sync::oneshot::channel::<()>();
    let (opened, loads) = (std::sync::Mutex::new(Some(opened)), AtomicUsize::new(0));
    let provider = IamTokenProvider::builder()
        .identity(move || {
            let load = loads.fetch_add(1, SeqCst);
            let opened = opened.lock().expect("no test panics").take_if(|_| load == 1);
            async move {
                if let Some(opened) = opened {
                    opened.await?;
                }
                Ok(Credentials::new(format!("AKIA{load:04}"), "secret", None, None, "test").into())
            }
        })
        .clock(Arc::new(clock.clone()))
        .build()
        .expect("builds");
    provider.report_refused(&provider.token(&request()).await.expect("is signed"));
    clock.advance(secs(31));
    let refused = provider.clone();
    let refused =
        tokio::spawn(
            async move { refused.token(&request()).await.map(|token| token.access_key_id().to_owned()) },
        );
    settle().await;
    // Other calls do not wait for the load that the refusal started.
    let other = provider.token(&request()).await.expect("is signed");
    assert_eq!((other.access_key_id(), other.is_fresh()), ("AKIA0000", true));

    gate.send(()).expect("is waited for");

    assert_eq!(refused.await.expect("no panic").expect("is signed"), "AKIA0001");
    assert_eq!(provider.token(&request()).await.expect("is signed").access_key_id(), "AKIA0001");
}

#[tokio::test]
async fn every_service_is_cached_but_eks() {
    let provider = Source::new(&clock(), 0).provider();
    let requests = [
        TokenRequest::database("abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws", 5432, "admin"),
        TokenRequest::database("abcdefghijklmnopqrst123456.dsql.us-east-1.on.aws", 5432, "jane"),
        TokenRequest::database(HOST, 5432, "jane"),
        TokenRequest::elasticache("orders", "app", "us-east-2"),
        TokenRequest::elasticache_serverless("orders", "app", "us-east-2"),
        TokenRequest::memorydb("orders", "app", "us-east-2"),
        TokenRequest::msk("us-east-2"),
        TokenRequest::rds_at_any_host("localhost", 5432, "jane", "us-east-2"),
    ];
    for (signed, request) in (1..).zip(requests) {
        let request = request.expect("fits");
        assert!(provider.token(&request).await.expect("is signed").is_fresh());
        assert!(!provider.token(&request).await.expect("is signed").is_fresh(), "{request}");
        assert_eq!(provider.stats().signed, signed, "{request} shares no token");
    }
    let eks = TokenRequest::eks("blue", "us-east-2").expect("fits");
    assert!(provider.token(&eks).await.expect("is signed").expose().starts_with("k8s-aws-v1."));
    assert!(provider.token(&eks).await.expect("is signed").is_fresh());
}

#[tokio::test]
async fn credentials_are_shared_with_sdk_clients() {
    let source = Source::new(&clock(), 3_600);
    let provider = source.provider();
    provider.token(&request()).await.expect("is signed");
    let credentials = provider.credentials().provide_credentials().await.expect("are held");
    assert_eq!((credentials.access_key_id(), source.calls.load(SeqCst)), ("AKIA0000", 1));
}

#[tokio::test]
async fn hanging_source_times_out_by_the_clock() {
    let clock = clock();
    let source = Source::new(&clock, 0);
    source.hangs.store(true, SeqCst);
    let provider = source.builder().load_timeout(secs(3)).build().expect("builds");
    let caller = tokio::spawn(async move { provider.token(&request()).await.map(drop) });
    settle().await;
    clock.advance(secs(3));
    let error = caller.await.expect("no panic").expect_err("hangs");
    assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::TimedOut));
    assert!(error.is_transient() && error.to_string().contains("no answer within 3s"), "{error}");
}

#[test]
fn missing_runtime_is_named() {
    let pending = IamTokenProvider::builder()
        .identity(|| async {
            tokio::time::sleep(secs(1)).await;
            Err("unused".into())
        })
        .build()
        .expect("builds");
    let mut call = Box::pin(async { pending.token(&request()).await.map(drop) });
    let Poll::Ready(Err(error)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing can wait without a runtime");
    };
    assert!(error.to_string().contains("tokio runtime with time"), "{error}");

    // Our own timer, with a source that needs none.
    let pending = IamTokenProvider::builder().identity(std::future::pending).build().expect("builds");
    let timerless = tokio::runtime::Builder::new_current_thread().build().expect("builds");
    let error = timerless.block_on(pending.token(&request())).expect_err("cannot wait");
    assert!(error.to_string().contains("tokio runtime with time"), "{error}");
}

#[tokio::test]
async fn failures_have_their_kinds() {
    let source = Source::new(&clock(), 0);
    source.is_down.store(true, SeqCst);
    let error = source.provider().token(&request()).await.expect_err("nothing to sign with");
    assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::TimedOut));

    let panics = IamTokenProvider::builder()
        .identity(|| async { std::panic::resume_unwind(Box::new("hunter2")) })
        .build()
        .expect("builds");
    let error = panics.token(&request()).await.expect_err("panics");
    assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::Failed));
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");

    let kind = |builder: IamTokenProviderBuilder| builder.build().expect_err("is refused").kind();
    assert_eq!(kind(source.builder().capacity(0)), ErrorKind::Configuration);
    assert_eq!(kind(source.builder().load_timeout(Duration::ZERO)), ErrorKind::Configuration);
    assert_eq!(kind(source.builder().profile("dev")), ErrorKind::Configuration);
}

#[test]
fn what_a_token_cannot_be_for_says_what_is_wrong_and_what_fits() {
    let said = |request: Result<TokenRequest, Error>| request.expect_err("does not fit").to_string();

    let region = said(TokenRequest::elasticache("orders", "app", "Ohio"));
    assert!(region.contains("malformed region name `Ohio`, expected one such as `us-east-1`"), "{region}");
    let region = said(TokenRequest::msk(""));
    assert_eq!(region, "empty region, expected one such as `us-east-1`");
    let with_port = said(TokenRequest::database(&format!("{HOST}:5432"), 5432, "jane"));
    assert!(with_port.starts_with("no token can be signed for this host: "), "{with_port}");
    assert!(with_port.contains("port"), "{with_port}");
}

#[test]
fn endpoint_of_another_service_names_the_request_that_fits() {
    for (host, says) in [
        (
            "master.orders.abc123.use1.cache.amazonaws.com",
            "ElastiCache, which takes another kind of token: ask for one by \
             `TokenRequest::elasticache` with the replication group's id",
        ),
        ("orders-abc123.serverless.use1.cache.amazonaws.com", "`TokenRequest::elasticache_serverless`"),
        ("orders.abc123.cache.cn-north-1.amazonaws.com.cn", "`TokenRequest::elasticache` "),
        (
            "clustercfg.orders.abc123.memorydb.us-east-1.amazonaws.com",
            "MemoryDB, which takes another kind of token: ask for one by `TokenRequest::memorydb`",
        ),
        ("b-1.orders.abc123.c2.kafka.us-east-1.amazonaws.com", "`TokenRequest::msk`"),
        ("ABC123.gr7.us-east-1.eks.amazonaws.com", "`TokenRequest::eks`"),
        ("orders.cache.example", "is not an endpoint that tokens can be signed for"),
    ] {
        let error = TokenRequest::database(host, 6379, "app").expect_err("no database");
        assert_eq!(error.kind(), ErrorKind::Host);
        assert!(error.to_string().contains(says), "{error}");
    }
}
