//! How many logins a process makes at one host: few at first after a change of the writer or a
//! refusal by throttling, and twice as many with each second that goes well.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many logins a gate lets through in its first second.
const FIRST_SECOND: u32 = 5;

/// After so many seconds that went well the gate would let through more than any server takes, and
/// is taken away.
const SECONDS: u32 = 8;

const SECOND: Duration = Duration::from_secs(1);

/// A host and its port.
pub(crate) type Host = (Box<str>, u16);

/// When a login was let through, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) at: Instant,
    pub(crate) host: Host,
}

/// The gates that are up, for the whole process: several topologies may lead to one host.
static GATES: LazyLock<Mutex<HashMap<Host, Gate>>> = LazyLock::new(Mutex::default);

/// Counts the logins at one host, second by second.
#[derive(Debug)]
struct Gate {
    since: Instant,
    /// When its present second began.
    second: Instant,
    passed: u32,
    /// How many seconds went well.
    well: u32,
    has_failed: bool,
}

impl Gate {
    fn new(since: Instant) -> Self {
        Self { since, second: since, passed: 0, well: 0, has_failed: false }
    }

    /// Lets a login through, or returns when to ask again.
    fn pass(&mut self, now: Instant) -> Result<(), Instant> {
        self.go_on(now);
        if now < self.second {
            return Err(self.second);
        }
        if self.is_over() || self.passed < FIRST_SECOND << self.well {
            self.passed += 1;
            return Ok(());
        }
        Err(self.second + SECOND)
    }

    /// Counts the seconds that are over; only the first of them can have failed.
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

/// Lets a login at a host through, or returns when to ask again; `changed` is when the host's
/// cluster had a new writer.
pub(crate) fn pass(host: &Host, changed: Option<Instant>, now: Instant) -> Result<(), Instant> {
    let is_recent = |at: &Instant| now.saturating_duration_since(*at) < SECOND * SECONDS;
    let mut gates = lock();
    if let Some(changed) = changed.filter(is_recent) {
        match gates.get_mut(host) {
            // What another topology saw of the same change is not a second change.
            Some(gate) if changed < gate.since + SECOND => {}
            Some(gate) => *gate = Gate::new(changed),
            None => {
                gates.retain(|_, gate| {
                    gate.go_on(now);
                    !gate.is_over()
                });
                gates.insert(host.clone(), Gate::new(changed));
            }
        }
    }
    gates.get_mut(host).map_or(Ok(()), |gate| gate.pass(now))
}

/// Notes that a login did not go well, so that the next second lets no more of them through than
/// this one.
pub(crate) fn failed(turn: &Turn) {
    if let Some(gate) = lock().get_mut(&turn.host) {
        gate.go_on(Instant::now());
        gate.has_failed |= turn.at >= gate.since;
    }
}

/// Puts a gate up for a login that had a turn: the server takes no more of them for now.
///
/// Refusals of attempts that ran side by side count as one. Where the gate was up already, it
/// closes for a second: anew at once, it would let the next ones through with every refusal.
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
    gates.insert(turn.host.clone(), Gate::new(since));
}

fn lock() -> MutexGuard<'static, HashMap<Host, Gate>> {
    // Plain values: no panic can leave them half written.
    GATES.lock().unwrap_or_else(PoisonError::into_inner)
}
