//! Calls that are dropped at every poll.

use std::{future::poll_fn, pin::Pin, task::Poll};

use token_cache::{BoxFuture, Expiring, ManualClock};

use crate::support::*;

const PENDINGS: usize = 5;

/// A fetch that is pending a few times before it brings a value of 1000 s.
fn slow(
    clock: &ManualClock,
    value: u32,
) -> impl FnOnce() -> BoxFuture<'static, Result<Expiring<u32>, Failure>> + Send + use<> {
    let (mut pendings, clock) = (PENDINGS, clock.clone());
    move || {
        Box::pin(async move {
            poll_fn(|cx| {
                if pendings == 0 {
                    return Poll::Ready(());
                }
                pendings -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            Ok(unexpired(&clock, value, 1000))
        })
    }
}

/// Polls a future at most `polls` times and drops it; returns its output if it got that far.
fn cut<F: Future>(mut future: Pin<Box<F>>, polls: usize) -> Option<F::Output> {
    (0..polls).find_map(|_| match poll_once(&mut future) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn complete<F: Future>(future: F) -> F::Output {
    cut(Box::pin(future), PENDINGS + 1).unwrap()
}

#[test]
fn fetch_cut_at_every_poll_is_driven_on_by_the_next() {
    for polls in 0..=PENDINGS {
        let clock = clock();
        let cell = cell(&clock);
        assert!(cut(Box::pin(cell.get(slow(&clock, 1))), polls).is_none());
        let mut next = Box::pin(cell.get(slow(&clock, 2)));
        let left = PENDINGS - polls;
        assert!(cut(Box::pin(poll_fn(|cx| next.as_mut().poll(cx))), left).is_none(), "restarted or skipped");
        let expected = if polls == 0 { 2 } else { 1 };
        assert_eq!(*finish(next).unwrap().0.value(), expected);
        assert_eq!(cell.stats().fetches, 1);
    }
}

#[test]
fn fetch_cut_by_every_waiter_in_turn_is_one_fetch() {
    let clock = clock();
    let cell = cell(&clock);
    for _ in 0..PENDINGS {
        assert!(cut(Box::pin(cell.get(slow(&clock, 1))), 1).is_none());
    }
    assert_eq!(*finish(cell.get(slow(&clock, 2))).unwrap().0.value(), 1);
    assert_eq!(cell.stats().fetches, 1);
}

#[test]
fn renewal_cut_at_every_poll_is_driven_on_by_the_next() {
    for polls in 0..=PENDINGS {
        let clock = clock();
        let cell = cell(&clock);
        fill(&cell, &clock, 1, 1000);
        clock.advance(secs(800));
        let renewal = finish(cell.get(slow(&clock, 2))).unwrap().1.unwrap();
        assert!(cut(Box::pin(renewal.run()), polls).is_none());
        let (lease, renewal) = finish(cell.get(slow(&clock, 3))).unwrap();
        assert_eq!(*lease.value(), 1);
        assert_eq!(*complete(renewal.unwrap().run()).unwrap().value(), 2);
        assert_eq!(cell.stats().fetches, 2);
    }
}

#[test]
fn refetch_cut_at_every_poll_is_driven_on_by_the_next() {
    for polls in 1..=PENDINGS {
        let clock = clock();
        let cell = cell(&clock);
        fill(&cell, &clock, 1, 1000);
        let refused = held(&cell).unwrap();
        assert!(cut(Box::pin(cell.refetch(&refused, slow(&clock, 2))), polls).is_none());
        assert_eq!(*held(&cell).unwrap().value(), 1);
        assert_eq!(*complete(cell.refetch(&refused, slow(&clock, 3))).unwrap().value(), 2);
        assert_eq!(cell.stats().fetches, 2);
    }
}

#[test]
fn call_dropped_before_its_first_poll_does_nothing() {
    let clock = clock();
    let cell = cell(&clock);
    drop(cell.get(slow(&clock, 1)));
    assert_eq!(cell.stats(), Default::default());
}
