//! Tokens that a server refused, and the keys that signed them.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use iam_token_provider::IamTokenProvider;
use token_cache::{BoxFuture, Clock, ManualClock};

use crate::*;

#[tokio::test]
async fn reported_refusal_reloads_at_the_next_call_and_not_more_often() {
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
async fn reported_refusal_is_checked_by_one_call() {
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

/// Makes one call while another one asks for the time.
struct Interrupted {
    clock: ManualClock,
    call: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupted")
    }
}

impl Clock for Interrupted {
    fn now(&self) -> SystemTime {
        let call = self.call.lock().expect("no call panics").take();
        if let Some(call) = call {
            call();
        }
        self.clock.now()
    }

    fn sleep_until(&self, at: SystemTime) -> BoxFuture<'static, ()> {
        self.clock.sleep_until(at)
    }
}

#[tokio::test]
async fn call_amid_the_report_of_a_refusal_finds_it_noted() {
    let source = Source::new(&clock(), 0);
    let interrupted = Arc::new(Interrupted { clock: source.clock.clone(), call: Mutex::default() });
    let provider = source.builder().clock(interrupted.clone()).build().expect("builds");
    let token = provider.token(&request()).await.expect("is signed");
    source.clock.advance(secs(31));
    source.key.store(1, SeqCst);
    let (other, signed) = (provider.clone(), Arc::new(Mutex::new(None)));
    let result = Arc::clone(&signed);
    *interrupted.call.lock().expect("no call panics") = Some(Box::new(move || {
        let call = std::pin::pin!(async { other.token_within(&request(), Duration::ZERO).await });
        let Poll::Ready(token) = call.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the source answers at once");
        };
        *result.lock().expect("no call panics") = Some(token.expect("is signed"));
    }));

    provider.report_refused(&token);

    let signed = signed.lock().expect("no call panics").take().expect("was called");
    assert_eq!(signed.access_key_id(), "AKIA0001");
    assert_eq!(provider.token(&request()).await.expect("is signed").access_key_id(), "AKIA0001");
}

#[tokio::test]
async fn caller_that_gives_up_leaves_the_refusal_to_the_next_one() {
    let source = Source::new(&clock(), 0);
    let provider = source.provider();
    let token = provider.token(&request()).await.expect("is signed");
    source.clock.advance(secs(31));
    provider.report_refused(&token);
    source.hangs.store(true, SeqCst);
    let mut impatient = Box::pin(async { provider.token(&request()).await });
    assert!(impatient.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(impatient);
    source.hangs.store(false, SeqCst);
    source.key.store(1, SeqCst);
    source.clock.advance(secs(60));

    let token = provider.token(&request()).await.expect("is signed");

    assert_eq!((token.access_key_id(), source.calls.load(SeqCst)), ("AKIA0001", 3));
}
