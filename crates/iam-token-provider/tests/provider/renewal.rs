//! Credentials that are renewed, run out, or never come.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context, Waker},
    time::Duration,
};

use aws_credential_types::provider::ProvideCredentials;
use iam_token_provider::{CredentialsFailure, ErrorKind, TokenRequest};

use crate::*;

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

#[tokio::test]
async fn load_without_waiters_goes_with_the_provider() {
    let source = Source::new(&clock(), 0);
    source.hangs.store(true, SeqCst);
    let (provider, lasts) = (source.provider(), Arc::downgrade(&source.calls));
    drop(source);
    let (waiting, target) = (provider.clone(), request());
    let mut caller = Box::pin(async move { waiting.token(&target).await });
    assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());

    drop((caller, provider));

    assert_eq!(lasts.strong_count(), 0);
}
