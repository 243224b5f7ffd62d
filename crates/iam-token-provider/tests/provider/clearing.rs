//! What is forgotten, and what is in flight meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use aws_credential_types::Credentials;
use iam_token_provider::{IamTokenProvider, TokenRequest};

use crate::*;

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
