//! Spaces out the logins of one topology: what fails, and what follows a change of the writer.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// How many logins the gate lets through in its first second; each second that goes well doubles
/// it.
const FIRST_SECOND: u32 = 5;

/// After so many seconds the gate lets through more than any server takes, and is taken away.
const GATE_SECONDS: u64 = 8;

const SECOND: Duration = Duration::from_secs(1);

/// Lets one attempt at a time through after a failure, ever slower, and a few a second after a
/// change.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    last: Option<Instant>,
    next: Option<Instant>,
    gate: Option<Gate>,
}

/// Counts logins second by second.
#[derive(Debug)]
struct Gate {
    since: Instant,
    second: u64,
    passed: u32,
}

impl Gate {
    fn new(since: Instant) -> Self {
        Self { since, second: 0, passed: 0 }
    }

    /// Lets a login through, or returns when to ask again; `None`: the gate is over.
    fn pass(&mut self, now: Instant) -> Option<Result<(), Instant>> {
        if now < self.since {
            return Some(Err(self.since));
        }
        let second = (now - self.since).as_secs();
        if second >= GATE_SECONDS {
            return None;
        }
        if second != self.second {
            (self.second, self.passed) = (second, 0);
        }
        if self.passed < FIRST_SECOND << second {
            self.passed += 1;
            return Some(Ok(()));
        }
        Some(Err(self.since + SECOND * (second as u32 + 1)))
    }
}

impl Pace {
    /// Waits for a turn and returns its time; `None` if there is none before the deadline.
    ///
    /// Turns are taken, not reserved, so that a caller that gives up leaves no gap.
    pub(crate) async fn admit(&self, deadline: Instant) -> Option<Instant> {
        loop {
            // Made before the state is read, so that a success in between is not missed.
            let freed = self.freed.notified();
            let now = Instant::now();
            let wait = match self.turn(now) {
                Ok(()) => return Some(now),
                Err(wait) => wait,
            };
            match wait {
                Wait::Turn(at) | Wait::Gate(at) if at <= deadline && now < deadline => {
                    drop(timeout_at(at, freed).await)
                }
                _ => return None,
            }
        }
    }

    fn turn(&self, now: Instant) -> Result<(), Wait> {
        let mut state = self.lock();
        if let Some(next) = state.next {
            if next > now {
                return Err(Wait::Turn(next));
            }
            state.next = Some(now + delay(state.failures));
            return Ok(());
        }
        match state.gate.as_mut().map(|gate| gate.pass(now)) {
            Some(Some(Err(at))) => Err(Wait::Gate(at)),
            Some(None) => {
                state.gate = None;
                Ok(())
            }
            Some(Some(Ok(()))) | None => Ok(()),
        }
    }

    /// Notes the failure of an attempt that had a turn; those of attempts that ran side by side
    /// count as one.
    ///
    /// Returns the pause before the next attempt if this failure changed it.
    pub(crate) fn failed(&self, turn: Instant) -> Option<Duration> {
        let mut state = self.lock();
        if state.last.is_some_and(|last| last >= turn) {
            return None;
        }
        let now = Instant::now();
        state.failures += 1;
        state.last = Some(now);
        let pause = delay(state.failures);
        state.next = Some(now + pause);
        Some(pause)
    }

    /// Lets everybody go, through the gate if there is one.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        *state = State { gate: state.gate.take(), ..State::default() };
        drop(state);
        self.freed.notify_waiters();
    }

    /// Puts the gate up: there is a new writer.
    pub(crate) fn gate(&self) {
        self.lock().gate = Some(Gate::new(Instant::now()));
        // Whoever waits for the former gate may pass the new one now.
        self.freed.notify_waiters();
    }

    /// Puts the gate up for a login that had a turn: the server takes no more of them for now.
    ///
    /// Refusals of attempts that ran side by side count as one. Where the gate was up already, it
    /// closes for a second: anew at once, it would let the next ones through with every refusal.
    pub(crate) fn throttled(&self, turn: Instant) {
        let mut state = self.lock();
        let now = Instant::now();
        let since = match &state.gate {
            Some(gate) if turn < gate.since => return,
            Some(_) => now + SECOND,
            None => now,
        };
        state.gate = Some(Gate::new(since));
    }

    /// Notes that the writer is lost, which counts as a failure of all that are under way: whoever
    /// looks for another one by itself would else do so beside everybody else.
    pub(crate) fn lost(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        state.last = Some(now);
        if state.next.is_none() {
            state.failures = 1;
            state.next = Some(now + delay(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: no panic can leave them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller has to wait for.
enum Wait {
    /// Its turn after a failure, or a success before.
    Turn(Instant),
    Gate(Instant),
}

/// 100 ms, doubled up to 1.6 s: what is waited for here is added to a failover.
fn delay(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.saturating_sub(1).min(4))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_spaced_out_and_those_side_by_side_count_once() {
        let pace = Pace::default();
        let turns = [pace.admit(soon()).await.expect("free"), pace.admit(soon()).await.expect("free")];
        let begun = Instant::now();

        assert_eq!(turns.map(|turn| pace.failed(turn)), [Some(Duration::from_millis(100)), None]);

        let mut waited = Vec::new();
        for _ in 0..6 {
            let turn = pace.admit(soon()).await.expect("in time");
            waited.push(begun.elapsed().as_millis());
            tokio::time::advance(Duration::from_millis(1)).await;
            pace.failed(turn);
        }
        assert_eq!(waited, [100, 301, 702, 1_503, 3_104, 4_705]);
        assert_eq!(pace.admit(Instant::now() + Duration::from_millis(50)).await, None, "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn success_lets_everybody_go() {
        let pace = Arc::new(Pace::default());
        let turn = pace.admit(soon()).await.expect("free");
        pace.failed(turn);
        let waiting = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.admit(soon()).await }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();

        pace.succeeded();

        waiting.await.expect("runs").expect("is let through");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn gate_lets_few_through_at_first_and_then_doubles() {
        let pace = Pace::default();
        pace.gate();
        let begun = Instant::now();

        let mut seconds = Vec::new();
        for _ in 0..40 {
            pace.admit(soon()).await.expect("in time");
            seconds.push(begun.elapsed().as_secs());
        }

        let passed = |second| seconds.iter().filter(|at| **at == second).count();
        assert_eq!([0, 1, 2, 3].map(passed), [5, 10, 20, 5]);
        tokio::time::advance(Duration::from_secs(GATE_SECONDS)).await;
        for _ in 0..10_000 {
            pace.admit(Instant::now()).await.expect("there is no gate any more");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn loss_of_the_writer_lets_one_through_at_a_time_until_a_success() {
        let pace = Pace::default();
        let under_way = pace.admit(soon()).await.expect("free");
        pace.lost();
        assert_eq!(pace.admit(Instant::now()).await, None, "not all at once");
        assert_eq!(pace.failed(under_way), None, "it failed with the loss");
        let begun = Instant::now();
        pace.admit(soon()).await.expect("in time");
        assert_eq!(begun.elapsed().as_millis(), 100);
        assert_eq!(pace.admit(Instant::now()).await, None, "one at a time");

        pace.succeeded();

        for _ in 0..100 {
            pace.admit(Instant::now()).await.expect("the writer is back");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_by_throttling_let_five_a_second_through_however_many_try_again_at_once() {
        let pace = Arc::new(Pace::default());
        let begun = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let pace = Arc::clone(&pace);
            callers.spawn(async move {
                let mut seconds = Vec::new();
                let end = begun + Duration::from_millis(3_500);
                while Instant::now() < end
                    && let Some(turn) = pace.admit(end).await
                {
                    seconds.push(begun.elapsed().as_secs());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    pace.throttled(turn);
                }
                seconds
            });
        }
        let seconds = callers.join_all().await.concat();

        let passed = |second| seconds.iter().filter(|at| **at == second).count();
        // All at first, before anybody knows; then five, whose refusal closes the gate for 1 s.
        assert_eq!([0, 1, 2, 3].map(passed), [25, 5, 5, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn next_change_of_the_writer_lets_those_through_who_wait_for_the_former_gate() {
        let pace = Arc::new(Pace::default());
        pace.gate();
        for _ in 0..5 {
            pace.admit(Instant::now()).await.expect("is among the first");
        }
        let waiting = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.admit(soon()).await }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();

        pace.gate();

        waiting.await.expect("runs").expect("is let through");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
