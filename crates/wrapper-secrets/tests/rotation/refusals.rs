//! Logins that are refused while the secret rotates.

use wrapper_core::{ErrorKind, adapter::Phase};
use wrapper_secrets::SecretsPlugin;

use crate::*;

#[tokio::test]
async fn user_and_password_come_from_the_secret_and_one_call_serves_all_ok() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);

    let users = outcomes(crowd(&connector, 100)).await;

    assert!(users.iter().all(|user| user.as_ref().is_ok_and(|user| user == "app")), "{users:?}");
    assert_eq!((actors.calls(), actors.database.logins()), (1, 100));
}

#[tokio::test]
async fn hundred_refused_at_once_share_one_call_and_see_nothing() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");

    actors.database.set("app", "second");
    actors.service.put(ID, json("app", "second"));
    let users = outcomes(crowd(&connector, 100)).await;

    assert!(users.iter().all(Result::is_ok), "{users:?}");
    assert_eq!(actors.calls(), 2, "one for the first secret and one for the rotation");
    let stats = connector.plugin::<SecretsPlugin>().expect("is in the chain").secrets().stats();
    assert_eq!((stats.loads, stats.rotations), (2, 1));
}

#[tokio::test]
async fn rotation_by_two_users_changes_the_user() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");

    // The clone gets a password, then the secret, and the former user is closed at last.
    actors.database.set("app_clone", "second");
    actors.service.rotate(ID, json("app_clone", "second"));
    assert_eq!(log_in(&connector).await.expect("the former user still works"), "app");
    actors.service.finish_rotation(ID);
    assert_eq!(log_in(&connector).await.expect("is let in"), "app");
    actors.database.set("app", "third");

    assert_eq!(log_in(&connector).await.expect("is let in"), "app_clone");
    assert_eq!(actors.calls(), 2);
}

#[tokio::test]
async fn secret_that_was_just_loaded_and_is_refused_is_final() {
    let actors = Actors::new().await;
    actors.database.set("app", "other");

    let error = log_in(&actors.connector(0)).await.expect_err("is refused");

    assert_eq!((actors.calls(), actors.database.logins(), error.is_login()), (1, 1, true));
    let text = format!("{error:#}");
    for part in [
        "secret `prod/app` was loaded 0 s ago, never accepted before",
        "set secretRotationRetryTimeoutMs=20000",
        "aws secretsmanager rotate-secret --secret-id prod/app",
    ] {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(!text.contains("first"), "{text}");
}

#[tokio::test]
async fn window_is_bridged_with_one_call_a_step_for_all() {
    let actors = Actors::new().await;
    let connector = actors.connector(20);
    log_in(&connector).await.expect("is let in");

    actors.database.set("app", "second");
    actors.service.rotate(ID, json("app", "second"));
    let waiting = crowd(&connector, 50);
    let mut before = actors.tick_until(|| actors.calls() == 2).await;
    for (calls, step) in [(3, 1), (4, 2)] {
        let at = actors.tick_until(|| actors.calls() == calls).await;
        assert!(at >= before + secs(step), "call {calls} came too early");
        before = at;
    }
    actors.service.finish_rotation(ID);
    actors.tick_until(|| waiting.iter().all(JoinHandle::is_finished)).await;
    let users = outcomes(waiting).await;

    assert!(users.iter().all(Result::is_ok), "{users:?}");
    assert_eq!(actors.calls(), 5, "one at first, one at the refusal, and one for each step of 1, 2 and 4 s");
}

#[tokio::test]
async fn rotation_window_longer_than_the_timeout_is_explained() {
    let actors = Actors::new().await;
    let connector = actors.connector(2);
    log_in(&connector).await.expect("is let in");
    actors.database.set("app", "second");

    let waiting = tokio::spawn({
        let connector = connector.clone();
        async move { log_in(&connector).await }
    });
    actors.tick_until(|| waiting.is_finished()).await;
    let error = waiting.await.expect("does not panic").expect_err("is refused");

    assert_eq!(actors.calls(), 3, "the step of 2 s would end after the timeout");
    assert!(error.to_string().contains("raise secretRotationRetryTimeoutMs, which is 2000"), "{error}");
}

#[tokio::test]
async fn refused_without_a_timeout_costs_one_call_a_step() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");
    actors.database.set("app", "second");

    let mut calls = Vec::new();
    for step in [0, 1, 1, 1, 4] {
        actors.clock.advance(secs(step));
        for _ in 0..20 {
            let error = log_in(&connector).await.expect_err("is refused");
            assert!(error.to_string().contains("has no newer one"), "{error}");
        }
        calls.push(actors.calls());
    }

    assert_eq!(calls, [2, 3, 3, 4, 5], "steps of 1, 2 and 4 s");
}

#[tokio::test]
async fn other_user_in_the_configuration_wrong() {
    let actors = Actors::new().await;

    let connect = actors.connector(0).connect(ConnectRequest::new(HOST, 5432, "jane")).await;

    let error = connect.expect_err("names another");
    assert_eq!((error.kind(), actors.database.logins()), (ErrorKind::Configuration, 0));
    assert!(
        error.to_string().contains("user `jane` is configured, but secret `prod/app` is for `app`"),
        "{error}"
    );
}

#[tokio::test]
async fn pause_between_refused_logins_is_no_wait_for_credentials() {
    let actors = Actors::new().await;
    actors.database.set("app", "second");
    let (connector, request) = (actors.connector(20), request());
    let connect = tokio::spawn({
        let request = request.clone();
        async move { connector.connect(request).await.map(drop) }
    });

    // The clock of the pauses stands still.
    while actors.database.logins() < 1 {
        tokio::task::yield_now().await;
    }

    assert_eq!(request.progress().phase(), Phase::Refused);
    connect.abort();
}

#[tokio::test]
async fn timeout_of_a_repeated_login_names_the_refusal_and_its_causes() {
    let actors = Actors::new().await;
    let connector = actors.connector(0);
    log_in(&connector).await.expect("is let in");
    actors.service.put(ID, json("app", "second"));
    actors.database.set("app", "second");
    actors.database.lock().answered = Some(2);

    let error = log_in(&connector).await.expect_err("the second login is not answered");

    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let text = error.to_string();
    assert!(text.contains("no answer; before that, "), "{text}");
    assert!(text.contains("refused the login; secret `prod/app` was loaded"), "{text}");
    assert!(text.contains("; check first: "), "{text}");
}
