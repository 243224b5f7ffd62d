//! A clock for tests.

use std::{
    collections::BTreeMap,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use crate::clock::{BoxFuture, Clock};

/// A clock that stands still until it is moved, in either direction; clones share their time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Dial>>);

/// The time, and the wakers of those who sleep until a later one.
#[derive(Debug)]
struct Dial {
    now: SystemTime,
    next_sleeper: u64,
    sleepers: BTreeMap<u64, (SystemTime, Waker)>,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn at(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Dial { now, next_sleeper: 0, sleepers: BTreeMap::new() })))
    }

    /// Returns the time it shows.
    pub fn now(&self) -> SystemTime {
        self.dial().now
    }

    /// Moves the clock to `now`, which may lie in its past, and wakes the sleepers that are due.
    pub fn set(&self, now: SystemTime) {
        self.turn(|_| now);
    }

    /// Moves the clock forward and wakes the sleepers that are due.
    ///
    /// # Panics
    ///
    /// Panics if the time cannot be represented.
    pub fn advance(&self, by: Duration) {
        self.turn(|now| now + by);
    }

    fn turn(&self, to: impl FnOnce(SystemTime) -> SystemTime) {
        let mut dial = self.dial();
        let now = to(dial.now);
        dial.now = now;
        let all = mem::take(&mut dial.sleepers).into_iter();
        let (due, waiting): (BTreeMap<_, _>, _) = all.partition(|(_, (deadline, _))| *deadline <= now);
        dial.sleepers = waiting;
        // A waker may poll at once, which reads this clock.
        drop(dial);
        due.into_values().for_each(|(_, waker)| waker.wake());
    }

    fn dial(&self) -> MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }

    fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()> {
        let mut dial = self.dial();
        dial.next_sleeper += 1;
        Box::pin(Sleep { clock: self.clone(), deadline, id: dial.next_sleeper })
    }
}

struct Sleep {
    clock: ManualClock,
    deadline: SystemTime,
    id: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are the executor's code: cloned before the lock is taken, dropped after its
        // release.
        let sleeper = (self.deadline, cx.waker().clone());
        let mut dial = self.clock.dial();
        if dial.now >= self.deadline {
            return Poll::Ready(());
        }
        let former = dial.sleepers.insert(self.id, sleeper);
        drop(dial);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let sleeper = self.clock.dial().sleepers.remove(&self.id);
        // The waker may own a task that sleeps on this very clock.
        drop(sleeper);
    }
}
