//! A cache on a manual clock, and a source whose every attempt is answered by the test.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, SystemTime},
};

use token_cache::{BoxFuture, Cache, Expiring, Lease, ManualClock, Renewing};

/// Errors are compared by address: "the same error" means one and the same.
pub(crate) type Failure = Arc<str>;
pub(crate) type TestCache = Cache<String, u32>;
pub(crate) type TestCell = Renewing<u32, Failure>;

pub(crate) const KEY: &str = "db.example:5432/jane";
/// The bound on the age of a value in tests that are not about it.
pub(crate) const ANY_AGE: Duration = Duration::from_secs(86_400);

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + secs(1_700_000_000))
}

pub(crate) fn cache(clock: &ManualClock) -> TestCache {
    Cache::new(Arc::new(clock.clone()))
}

pub(crate) fn cache_of(clock: &ManualClock, capacity: usize) -> TestCache {
    Cache::with_capacity(Arc::new(clock.clone()), capacity)
}

/// With a refresh window of exactly 20 %, where the product draws one.
pub(crate) fn cell(clock: &ManualClock) -> TestCell {
    Renewing::without_jitter(Arc::new(clock.clone()), secs(10))
}

pub(crate) fn unexpired(clock: &ManualClock, value: u32, life: u64) -> Expiring<u32> {
    Expiring::new(value, clock.now(), clock.now() + secs(life))
}

/// Stores a value by way of a fetch that succeeds at once.
pub(crate) fn fill(cell: &TestCell, clock: &ManualClock, value: u32, life: u64) {
    let fetched = unexpired(clock, value, life);
    let (lease, _) = finish(cell.get(move || async { Ok(fetched) })).unwrap();
    assert_eq!(*lease.value(), value);
}

/// The unexpired value, where nothing is due.
pub(crate) fn held(cell: &TestCell) -> Option<Lease<u32>> {
    let (lease, renewal) = cell.try_get(std::future::pending)?;
    assert!(renewal.is_none());
    Some(lease)
}

pub(crate) fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that has nothing to wait for.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    match poll_once(&mut Box::pin(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Polls a future that wakes this waker.
    pub(crate) fn poll<F: Future>(self: &Arc<Self>, future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) enum Answer {
    Fail(Failure),
    Panic,
    Value(Expiring<u32>),
}

#[derive(Default)]
struct Desk {
    asked: usize,
    answers: HashMap<usize, Answer>,
    wakers: Vec<Waker>,
}

/// A source of values; attempts are numbered from zero in the order in which they are begun.
#[derive(Clone, Default)]
pub(crate) struct Source(Arc<Mutex<Desk>>);

impl Source {
    /// A fetch that counts as asked when it is first polled.
    pub(crate) fn fetch(
        &self,
    ) -> impl FnOnce() -> BoxFuture<'static, Result<Expiring<u32>, Failure>> + Send + use<> {
        let source = self.clone();
        move || {
            let mut desk = source.0.lock().unwrap();
            let number = desk.asked;
            desk.asked += 1;
            drop(desk);
            Box::pin(source.answered(number))
        }
    }

    /// Waits for the answer to one attempt.
    pub(crate) async fn answered(self, number: usize) -> Result<Expiring<u32>, Failure> {
        let answer = poll_fn(|cx| {
            let mut desk = self.0.lock().unwrap();
            match desk.answers.remove(&number) {
                Some(answer) => Poll::Ready(answer),
                None => {
                    desk.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        match answer.await {
            Answer::Fail(error) => Err(error),
            // Unlike `panic!`, prints nothing.
            Answer::Panic => std::panic::resume_unwind(Box::new("source")),
            Answer::Value(value) => Ok(value),
        }
    }

    pub(crate) fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    pub(crate) fn answer(&self, number: usize, answer: Answer) {
        let mut desk = self.0.lock().unwrap();
        desk.answers.insert(number, answer);
        let wakers = std::mem::take(&mut desk.wakers);
        drop(desk);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn succeed(&self, number: usize, value: Expiring<u32>) {
        self.answer(number, Answer::Value(value));
    }

    pub(crate) fn fail(&self, number: usize) {
        self.answer(number, Answer::Fail("down".into()));
    }
}
