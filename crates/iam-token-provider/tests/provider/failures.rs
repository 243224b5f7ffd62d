//! Errors by their kinds.

use std::{
    sync::atomic::Ordering::SeqCst,
    task::{Context, Poll, Waker},
    time::Duration,
};

use iam_token_provider::{CredentialsFailure, ErrorKind, IamTokenProvider, IamTokenProviderBuilder};

use crate::*;

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

    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("hunter2"));
        }
    }
    let panics = IamTokenProvider::builder()
        .identity(|| async { std::panic::resume_unwind(Box::new(PanicsOnDrop)) })
        .build()
        .expect("builds");
    let error = panics.token(&request()).await.expect_err("panics");
    assert!(error.to_string().contains("panicked while it loaded AWS credentials"), "{error}");

    let keys = Credentials::new("AKIA 1", "secret", None, None, "test");
    let blank = IamTokenProvider::builder()
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
        .expect("builds");
    let error = blank.token(&request()).await.expect_err("cannot sign");
    assert_eq!(error.kind(), ErrorKind::Token);
    let text = error.to_string();
    assert!(text.starts_with("no token could be signed for user `jane` at"), "{text}");
    assert!(
        text.ends_with(": access key id holds a blank: remove it where the credentials come from"),
        "{text}"
    );

    let kind = |builder: IamTokenProviderBuilder| builder.build().expect_err("is refused").kind();
    assert_eq!(kind(source.builder().capacity(0)), ErrorKind::Configuration);
    assert_eq!(kind(source.builder().load_timeout(Duration::ZERO)), ErrorKind::Configuration);
    assert_eq!(kind(source.builder().profile("dev")), ErrorKind::Configuration);
}
