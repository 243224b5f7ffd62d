//! The cell under chosen interleavings of its threads: `cargo xtask model`.

#![cfg(shuttle)]
#![expect(clippy::unwrap_used, reason = "a failed step of a helper fails the test")]

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use shuttle::{
    future,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use token_cache::{Expiring, FetchError, Lease, ManualClock, Renewing};

const ROUNDS: usize = 1_500;

type Cell = Renewing<u32, &'static str>;

fn clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

/// A cell whose clock stands, so that a wake that is lost is a deadlock.
fn cell() -> (Cell, ManualClock) {
    let clock = clock();
    (Renewing::without_jitter(Arc::new(clock.clone()), Duration::from_secs(10)), clock)
}

/// An answer that another thread gives, once.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Desk {
    fn give(&self) {
        let mut desk = self.0.lock().unwrap();
        desk.0 = true;
        let wakers = std::mem::take(&mut desk.1);
        drop(desk);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Future for Desk {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut desk = self.0.lock().unwrap();
        if desk.0 {
            return Poll::Ready(());
        }
        desk.1.push(cx.waker().clone());
        Poll::Pending
    }
}

/// What the callers of one round share.
#[derive(Clone)]
struct Round {
    cell: Cell,
    clock: ManualClock,
    desk: Desk,
    fetches: Arc<AtomicUsize>,
}

impl Round {
    fn new() -> Self {
        let (cell, clock) = cell();
        Self { cell, clock, desk: Desk::default(), fetches: Arc::default() }
    }

    /// Fetches a value whose number is how many were fetched before, when the desk has answered.
    async fn fetch(self) -> Result<Expiring<u32>, &'static str> {
        let number = self.fetches.fetch_add(1, SeqCst);
        self.desk.await;
        let now = self.clock.now();
        Ok(Expiring::new(number as u32, now, now + Duration::from_secs(1000)))
    }

    async fn get(&self) -> Result<Lease<u32>, FetchError<&'static str>> {
        let fetch = self.clone().fetch();
        Ok(self.cell.get(move || fetch).await?.0)
    }

    /// Asks, polls so often, and gives up.
    fn give_up_after(&self, polls: usize) -> thread::JoinHandle<()> {
        let round = self.clone();
        thread::spawn(move || {
            let mut left = polls;
            let mut asks = Box::pin(async { round.get().await.map(drop) });
            future::block_on(std::future::poll_fn(move |cx| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                asks.as_mut().poll(cx).map(drop)
            }));
        })
    }

    fn wait(&self) -> thread::JoinHandle<u32> {
        let round = self.clone();
        thread::spawn(move || future::block_on(async { *round.get().await.unwrap().value() }))
    }

    fn answer(&self) -> thread::JoinHandle<()> {
        let desk = self.desk.clone();
        thread::spawn(move || desk.give())
    }
}

fn explore(round: impl Fn() + Send + Sync + 'static) {
    let round = Arc::new(round);
    let again = Arc::clone(&round);
    shuttle::check_random(move || round(), ROUNDS);
    // Few changes of the running thread, at chosen places: finds what is rare among the random
    // ones.
    shuttle::check_pct(move || again(), ROUNDS, 3);
}

#[test]
fn patient_callers_get_the_one_value_beside_those_who_give_up() {
    explore(|| {
        let round = Round::new();
        let impatient = [round.give_up_after(1), round.give_up_after(2)];
        let patient = [round.wait(), round.wait()];
        let answer = round.answer();
        assert!(patient.into_iter().all(|caller| caller.join().unwrap() == 0));
        answer.join().unwrap();
        impatient.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(round.fetches.load(SeqCst), 1);
    });
}

#[test]
fn time_limit_wakes_everybody_and_ends_the_flight_once() {
    explore(|| {
        let round = Round::new();
        let ask = || {
            let round = round.clone();
            thread::spawn(move || future::block_on(async { round.get().await.err() }))
        };
        let callers = [ask(), ask()];
        let clock = round.clock.clone();
        let time = thread::spawn(move || clock.advance(Duration::from_secs(10)));
        let answer = round.answer();
        time.join().unwrap();
        answer.join().unwrap();
        for caller in callers {
            let failed = caller.join().unwrap();
            assert!(matches!(failed, None | Some(FetchError::TimedOut(_))), "{failed:?}");
        }
        let stats = round.cell.stats();
        assert!(stats.fetches_failed <= stats.fetches && stats.fetches <= 2, "{stats:?}");
    });
}

#[test]
fn nothing_from_before_a_clear_is_held_after_it() {
    explore(|| {
        let round = Round::new();
        let before = round.wait();
        let answer = round.answer();
        while round.fetches.load(SeqCst) == 0 {
            thread::yield_now();
        }
        round.cell.clear();
        let after = future::block_on(async { *round.get().await.unwrap().value() });
        assert_eq!((before.join().unwrap(), after), (0, 1));
        answer.join().unwrap();
    });
}
