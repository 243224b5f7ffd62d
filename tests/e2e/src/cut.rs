//! Giving up at every await.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

/// More polls than anything here takes.
const MOST: usize = 2_000;

/// Polls a future so often and drops it then, where it waits; `None` if it was not through.
pub async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    Cut { future: pin!(future), left: polls }.await
}

/// Gives up what `begin` begins after 0, 1, 2, … polls, until it is through, and each time lets
/// `check` see that nothing is broken; returns how often.
pub async fn at_every_await<T>(begin: impl AsyncFn() -> T, check: impl AsyncFn(usize)) -> usize {
    for polls in 0..MOST {
        let is_through = cut(begin(), polls).await.is_some();
        check(polls).await;
        if is_through {
            return polls;
        }
    }
    panic!("not through after {MOST} polls");
}

struct Cut<'f, F> {
    future: Pin<&'f mut F>,
    left: usize,
}

impl<F: Future> Future for Cut<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // Not at the next wake, with which what it waits for may have come.
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
