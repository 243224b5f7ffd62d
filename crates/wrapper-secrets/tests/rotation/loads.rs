//! Loads ahead, after a clear, and that nobody waits for any more.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use rds_testkit::{Gate, SecretsError};
use wrapper_secrets::AfterRefusal;

use crate::*;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn living_secret_serves_while_the_service_is_down() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");
    actors.service.fail(usize::MAX, SecretsError::access_denied());

    actors.clock.advance(secs(30 * 24 * 3600));
    log_in(&connector).await.expect("is let in with the secret of last month");
    actors.wait_for_calls(2).await;
    log_in(&connector).await.expect("still");

    actors.database.set("app", "second");
    let error = log_in(&connector).await.expect_err("is refused");
    assert!(error.is_login(), "{error:?}");
    assert!(error.to_string().contains("no newer one could be loaded: no permission to read"), "{error}");
}

#[tokio::test]
async fn secret_is_renewed_ahead_beside_those_who_use_it() {
    let actors = Actors::new().await;
    let provider = actors.provider();
    let first = provider.secret().await.expect("is there");
    actors.service.put(ID, json("app", "second"));

    actors.clock.advance(secs(869));
    assert_eq!(provider.secret().await.expect("is there").expose_password(), "first", "nobody waits");
    actors.wait_for_calls(2).await;
    let second = loop {
        let secret = provider.secret().await.expect("is there");
        if secret.version_id() != first.version_id() {
            break secret;
        }
        tokio::task::yield_now().await;
    };

    assert_eq!((second.expose_password(), actors.calls()), ("second", 2));
}

#[tokio::test]
async fn load_of_a_cleared_secret_is_a_new_one() {
    let actors = Actors::new().await;
    let provider = actors.provider();
    provider.warm_up().await.expect("is there");
    provider.clear();

    assert!(provider.secret().await.expect("is there").is_fresh());
    assert_eq!(actors.calls(), 2);
}

#[tokio::test]
async fn load_without_waiters_goes_with_the_provider() {
    let actors = Actors::new().await;
    actors.service.hold(&Gate::new());
    let clock = Arc::new(actors.clock.clone());
    let provider = actors.builder().clock(clock.clone()).build().expect("builds");
    let (waiting, lasts) = (provider.clone(), Arc::downgrade(&clock));
    let mut caller = Box::pin(async move { waiting.secret().await });
    assert!(poll(&mut caller).is_pending());

    drop((caller, provider, clock));

    assert_eq!(lasts.strong_count(), 0);
}

#[tokio::test]
async fn load_that_fails_for_many_begins_one_step() {
    let actors = Actors::new().await;
    let provider = actors.provider();
    let refused = provider.secret().await.expect("is there");
    let gate = Gate::new();
    actors.service.hold(&gate);
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(provider.after_refusal(&refused))).collect();
    assert!(waiters.iter_mut().all(|waiter| poll(waiter).is_pending()));

    // It times out, and each of them runs later than the one before.
    for mut waiter in waiters {
        actors.clock.advance(secs(30));
        assert!(matches!(poll(&mut waiter), Poll::Ready(AfterRefusal::Failed(_))));
    }
    gate.open();
    let loads = provider.stats().loads;
    provider.after_refusal(&refused).await;

    assert_eq!(provider.stats().loads, loads + 1, "the step of 1 s was over");
}
