//! One cell in two runtimes.

use std::{sync::Arc, time::Duration};

use token_cache::{Expiring, FetchError, Renewing, SystemClock};
use tokio::runtime::{Builder, Runtime};

use crate::support::*;

type Cell = Renewing<u32, Failure>;

fn cell_within(limit: Duration) -> Cell {
    Renewing::new(Arc::new(SystemClock), limit)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "two runtimes have two real timers")]
async fn slow() -> Result<Expiring<u32>, Failure> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = std::time::SystemTime::now();
    Ok(Expiring::new(1, now, now + secs(900)))
}

/// Starts the fetch in a runtime whose timer is not driven from then on.
fn start_in(runtime: &Runtime, cell: &Cell) {
    let cell = cell.clone();
    runtime.block_on(async {
        tokio::spawn(async move { drop(cell.get(slow).await) });
        tokio::task::yield_now().await;
    });
}

#[test]
fn waiter_is_not_held_by_a_runtime_that_sleeps() {
    let cell = cell_within(Duration::from_millis(300));
    let sleeping = runtime();
    start_in(&sleeping, &cell);
    let waiter = runtime().block_on(cell.get(slow)).map(|(lease, _)| *lease.value());
    assert_eq!(waiter, Err(FetchError::TimedOut(Duration::from_millis(300))));
    assert_eq!(*runtime().block_on(cell.get(slow)).unwrap().0.value(), 1, "the next one starts its own");
}

#[test]
fn fetch_of_a_runtime_that_is_gone_is_replaced() {
    let cell = cell_within(secs(10));
    let gone = runtime();
    start_in(&gone, &cell);
    drop(gone);
    assert_eq!(*runtime().block_on(cell.get(slow)).unwrap().0.value(), 1);
    assert_eq!(cell.stats().fetches, 2);
}

#[test]
fn waiter_outlives_the_runtime_that_drove_its_fetch() {
    let cell = cell_within(secs(10));
    let first = runtime();
    start_in(&first, &cell);
    let second = runtime();
    let waiter = second.spawn({
        let cell = cell.clone();
        async move { cell.get(slow).await.map(|(lease, _)| *lease.value()) }
    });
    second.block_on(tokio::task::yield_now());
    drop(first);
    assert_eq!(second.block_on(waiter).unwrap(), Ok(1));
}

#[test]
fn runtime_without_a_timer_is_named() {
    let cell = cell_within(secs(10));
    let timerless = Builder::new_current_thread().build().unwrap();
    let pending = || std::future::pending::<Result<Expiring<u32>, Failure>>();
    assert_eq!(timerless.block_on(cell.get(pending)).unwrap_err(), FetchError::NoTimer);
    assert_eq!(finish(cell.get(pending)).unwrap_err(), FetchError::NoTimer, "and no runtime at all");
}
