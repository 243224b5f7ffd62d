//! Errors for runtimes that lack a driver.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    task::Poll,
};

use tokio::runtime::Handle;

use wrapper_core::{Error, ErrorKind, Result};

/// Runs a future that needs a Tokio runtime with timer and I/O.
///
/// # Errors
///
/// A configuration error that names what the current runtime lacks; else what the future returns.
pub async fn in_runtime<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    if Handle::try_current().is_err() {
        return Err(lacking(
            "no Tokio runtime is running here: connect within one, such as that of #[tokio::main]",
        ));
    }
    let mut future = pin!(future);
    // Tokio offers no way to query a runtime's drivers: it panics if one is missing. After a panic
    // the future is not polled again, so it need not be unwind safe.
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => match lacking_runtime(&*panic) {
            Some(error) => Poll::Ready(Err(error)),
            None => resume_unwind(panic),
        },
    })
    .await
}

/// Derives from a panic of Tokio which driver the runtime lacks; `None` for another panic.
pub fn lacking_runtime(panic: &(dyn Any + Send)) -> Option<Error> {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied())?;
    // The words of tokio's panics, which the tests below pin.
    if text.contains("timers are disabled") {
        Some(lacking("the Tokio runtime has no timer: call `enable_time` or `enable_all` on its builder"))
    } else if text.contains("IO is disabled") {
        Some(lacking("the Tokio runtime has no I/O driver: call `enable_io` or `enable_all` on its builder"))
    } else {
        None
    }
}

fn lacking(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context, Waker},
        time::Duration,
    };

    use super::*;

    fn waits() -> impl Future<Output = Result<()>> {
        in_runtime(async {
            tokio::time::sleep(Duration::ZERO).await;
            Ok(())
        })
    }

    fn message(outcome: Result<()>) -> String {
        let error = outcome.expect_err("the runtime lacks something");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn runtime_missing_is_named() {
        let Poll::Ready(outcome) = pin!(waits()).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing to wait for");
        };
        assert!(message(outcome).contains("no Tokio runtime is running"));
    }

    #[test]
    fn timer_missing_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        assert!(message(runtime.block_on(waits())).contains("`enable_time`"));
    }

    #[test]
    fn io_missing_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
        let binds =
            in_runtime(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.map(drop).or(Ok(())) });
        assert!(message(runtime.block_on(binds)).contains("`enable_io`"));
    }

    #[test]
    #[should_panic(expected = "another matter")]
    fn other_panics_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        let _ = runtime.block_on(in_runtime::<()>(async { panic!("another matter") }));
    }
}
