//! The gate that limits logins at one host: a few in the first second after a change of the writer
//! or a throttled login, twice as many with each second without a failure.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(not(test))]
use std::sync::LazyLock;

use tokio::time::Instant;

/// The logins that a gate admits in its first second.
const FIRST_SECOND: u32 = 5;

/// After this many good seconds a gate would admit more logins than any server accepts: it is over,
/// and is removed by the host's next login or by the next gate.
const SECONDS: u32 = 8;

const SECOND: Duration = Duration::from_secs(1);

/// A host and its port.
pub(crate) type Host = (Box<str>, u16);

/// An admitted login: its time and its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) at: Instant,
    pub(crate) host: Host,
}

/// The gates in force, process-wide because several topologies may lead to one host.
#[cfg(not(test))]
static GATES: LazyLock<Mutex<HashMap<Host, Gate>>> = LazyLock::new(Mutex::default);

// Tests run side by side, each on a thread and a clock of its own: one must not sweep the gates of
// another.
#[cfg(test)]
thread_local! {
    static GATES: &'static Mutex<HashMap<Host, Gate>> = Box::leak(Box::default());
}

/// Counts the logins at one host, second by second.
#[derive(Debug)]
struct Gate {
    since: Instant,
    /// When its current second began.
    second: Instant,
    passed: u32,
    /// The number of seconds without a failure.
    well: u32,
    has_failed: bool,
}

impl Gate {
    fn new(since: Instant) -> Self {
        Self { since, second: since, passed: 0, well: 0, has_failed: false }
    }

    /// Admits a login, or returns when to try again.
    fn pass(&mut self, now: Instant) -> Result<(), Instant> {
        self.go_on(now);
        // A throttled login has closed the gate until then.
        if now < self.second {
            return Err(self.second);
        }
        // 5 in the first second, 5 << 7 = 640 in the eighth; RDS accepts about 200 IAM logins a
        // second.
        if self.is_over() || self.passed < FIRST_SECOND << self.well {
            self.passed += 1;
            return Ok(());
        }
        Err(self.second + SECOND)
    }

    /// Counts the completed seconds; only the first of them can have had a failure.
    fn go_on(&mut self, now: Instant) {
        let over = now.saturating_duration_since(self.second).as_secs() as u32;
        if over > 0 {
            self.well = self.well.saturating_add(over - u32::from(self.has_failed)).min(SECONDS);
            (self.second, self.passed, self.has_failed) = (self.second + SECOND * over, 0, false);
        }
    }

    fn is_over(&self) -> bool {
        self.well >= SECONDS
    }
}

/// Admits a login at a host, or returns when to try again; `changed` is when the writer of the
/// host's cluster last changed.
pub(crate) fn pass(host: &Host, changed: Option<Instant>, now: Instant) -> Result<(), Instant> {
    let is_recent = |at: &Instant| now.saturating_duration_since(*at) < SECOND * SECONDS;
    let mut gates = lock();
    if let Some(changed) = changed.filter(is_recent) {
        match gates.get_mut(host) {
            // Another topology's report of the same change must not restart the gate.
            Some(gate) if changed < gate.since + SECOND => {}
            _ => insert(&mut gates, host, changed, now),
        }
    }
    let Some(gate) = gates.get_mut(host) else { return Ok(()) };
    let outcome = gate.pass(now);
    if gate.is_over() {
        gates.remove(host);
    }
    outcome
}

/// Adds a gate, and sweeps those that are over: their hosts may be gone, and nobody asks for them.
fn insert(gates: &mut HashMap<Host, Gate>, host: &Host, since: Instant, now: Instant) {
    gates.retain(|_, gate| {
        gate.go_on(now);
        !gate.is_over()
    });
    gates.insert(host.clone(), Gate::new(since));
}

/// Records a failed login: the next second admits no more of them than this one.
pub(crate) fn failed(turn: &Turn) {
    if let Some(gate) = lock().get_mut(&turn.host) {
        gate.go_on(Instant::now());
        // A login from before this gate says nothing about the pace that it sets.
        gate.has_failed |= turn.at >= gate.since;
    }
}

/// Starts a gate after a throttled login: the server accepts no more of them for now.
///
/// Refusals of concurrent attempts count as one. An existing gate closes for a second: if it
/// restarted at once, every refusal would admit further logins.
pub(crate) fn throttled(turn: &Turn) {
    let mut gates = lock();
    let now = Instant::now();
    let since = match gates.get_mut(&turn.host) {
        Some(gate) if turn.at < gate.since => return,
        Some(gate) => {
            gate.go_on(now);
            if gate.is_over() { now } else { now + SECOND }
        }
        None => now,
    };
    insert(&mut gates, &turn.host, since, now);
}

fn lock() -> MutexGuard<'static, HashMap<Host, Gate>> {
    // Plain values: no panic can leave them half written.
    #[cfg(not(test))]
    let gates = &GATES;
    #[cfg(test)]
    let gates = GATES.with(|gates| *gates);
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the number of gates.
#[cfg(test)]
pub(crate) fn count() -> usize {
    lock().len()
}
