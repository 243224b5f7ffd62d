//! One provider in two runtimes.

#![expect(clippy::expect_used, reason = "a failed step of a helper fails the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use aws_credential_types::Credentials;
use iam_token_provider::{CredentialsFailure, Error, ErrorKind, IamTokenProvider, TokenRequest};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("starts")
}

async fn ask(provider: IamTokenProvider) -> Result<String, Error> {
    let request = TokenRequest::database("db.abc123.us-east-2.rds.amazonaws.com", 5432, "jane")?;
    Ok(provider.token(&request).await?.access_key_id().to_owned())
}

/// What the first load waits for, in the runtime that starts it.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Socket,
    Timer,
}

/// A provider whose source answers each load but the first at once, and how often it was asked.
fn provider(wait: Wait, limit: Duration) -> (IamTokenProvider, Arc<AtomicUsize>) {
    let loads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&loads);
    let identify = move || {
        let is_first = counter.fetch_add(1, SeqCst) == 0;
        async move {
            match wait {
                _ if !is_first => {}
                Wait::Timer => tokio::time::sleep(Duration::from_secs(3_600)).await,
                Wait::Socket => {
                    TcpListener::bind(("127.0.0.1", 0)).await?.accept().await?;
                }
            }
            Ok(Credentials::new("AKIAEXAMPLE", "secret", None, None, "test").into())
        }
    };
    let builder = IamTokenProvider::builder().identity(identify).load_timeout(limit);
    (builder.build().expect("builds"), loads)
}

/// Starts a load in a runtime, which is left before the load ends.
fn start_in(runtime: &Runtime, provider: &IamTokenProvider, loads: &AtomicUsize) {
    let provider = provider.clone();
    runtime.block_on(async {
        tokio::spawn(async move { ask(provider).await.map(drop) });
        while loads.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Up to where the load waits for what never comes.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn load_of_a_runtime_that_is_gone_is_restarted() {
    for wait in [Wait::Socket, Wait::Timer] {
        let (provider, loads) = provider(wait, Duration::from_secs(60));
        let gone = runtime();
        start_in(&gone, &provider, &loads);
        drop(gone);

        let key = runtime().block_on(ask(provider)).unwrap_or_else(|error| panic!("{wait:?}: {error}"));

        assert_eq!((key.as_str(), loads.load(SeqCst)), ("AKIAEXAMPLE", 2), "{wait:?}");
    }
}

#[test]
fn caller_that_waits_outlives_the_runtime_that_started_the_load() {
    for wait in [Wait::Socket, Wait::Timer] {
        let (provider, loads) = provider(wait, Duration::from_secs(60));
        let first = runtime();
        start_in(&first, &provider, &loads);
        let second = runtime();
        let caller = second.spawn(ask(provider));
        second.block_on(tokio::task::yield_now());
        drop(first);

        let key = second.block_on(caller).expect("no panic");

        let key = key.unwrap_or_else(|error| panic!("{wait:?}: {error}"));
        assert_eq!((key.as_str(), loads.load(SeqCst)), ("AKIAEXAMPLE", 2), "{wait:?}");
    }
}

#[test]
fn caller_is_not_held_by_a_runtime_that_sleeps() {
    for wait in [Wait::Socket, Wait::Timer] {
        let (provider, loads) = provider(wait, Duration::from_millis(300));
        let sleeping = runtime();
        start_in(&sleeping, &provider, &loads);

        let error = runtime().block_on(ask(provider.clone())).expect_err("nobody drives the timer");

        assert_eq!(error.kind(), ErrorKind::Credentials(CredentialsFailure::TimedOut), "{error}");
        assert!(error.to_string().contains("no answer within 300ms"), "{error}");
        let next = runtime().block_on(ask(provider)).expect("the next one starts its own");
        assert_eq!((next.as_str(), loads.load(SeqCst)), ("AKIAEXAMPLE", 2), "{wait:?}");
    }
}
