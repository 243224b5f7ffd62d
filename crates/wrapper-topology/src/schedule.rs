//! The monitor's schedule: no I/O, no clock, no runtime.
//!
//! ```text
//!            a suspicion, or no writer                      a writer is verified
//!  quiet ─────────────────────────────▶ doubt: all, every ─────────────────────▶ fast: the writer, every
//!  one instance, every 30 s ◀────────── 100 ms            ◀───────────────────── 100 ms for 30 s
//!            ▲                                                 a suspicion                │
//!            └────────────────────────────────────────────────────────────────────────────┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

use crate::knowledge::{Knowledge, Target};

/// How long the writer is watched closely after a suspicion.
const FAST: Duration = Duration::from_secs(30);

/// The monitor rests after this time without a connect or a suspicion.
pub(crate) const IDLE: Duration = Duration::from_secs(15 * 60);

/// An unfounded suspicion blocks the next one for the first of these, doubled up to the second.
const BLOCK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The pause after a failed connect: doubled from the first up to the second, or up to the third if
/// the login was refused.
const BACK_OFF: (Duration, Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(30));

/// The intervals between queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// While all is well; zero disables these queries.
    pub(crate) refresh: Duration,
    /// While something is suspected.
    pub(crate) high: Duration,
}

/// The outcome of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    Answered,
    Failed,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Quiet,
    Doubt,
    Fast,
}

/// The times of the next queries.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    rates: Rates,
    /// Whether a plugin with a monitor has set the rates.
    has_monitor: bool,
    lanes: Vec<Lane>,
    /// The time and the epoch at which the current suspicion began.
    suspicion: Option<(Instant, u64)>,
    fast_until: Option<Instant>,
    blocked_until: Option<Instant>,
    block: Duration,
    used: Instant,
    /// The target of the quiet mode, kept while it answers.
    quiet_target: Option<Target>,
}

/// The schedule of one target, with one query at a time.
#[derive(Clone, Debug)]
struct Lane {
    target: Target,
    next: Instant,
    failures: u32,
    is_asked: bool,
}

impl Schedule {
    pub(crate) fn new(rates: Rates, now: Instant) -> Self {
        Self {
            rates,
            has_monitor: false,
            lanes: Vec::new(),
            suspicion: None,
            fast_until: None,
            blocked_until: None,
            block: BLOCK.0,
            used: now,
            quiet_target: None,
        }
    }

    pub(crate) fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
        self.has_monitor = true;
    }

    /// Returns whether a plugin with a monitor uses the topology, or did so.
    pub(crate) fn has_monitor(&self) -> bool {
        self.has_monitor
    }

    /// Starts over: the queries under way were dropped, or belong to a task that is gone.
    pub(crate) fn restart(&mut self) {
        // The suspicion is kept: it is about the cluster, whichever task asks.
        self.lanes.clear();
    }

    /// Notes a connect or a suspicion of the application, and returns whether the monitor may rest.
    pub(crate) fn used(&mut self, now: Instant) -> bool {
        let rests = self.is_idle(now);
        self.used = self.used.max(now);
        rests
    }

    /// Returns whether the cluster was last used long ago.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
    }

    /// Starts a suspicion, which ends when a writer is verified; returns false while suspicions are
    /// blocked.
    pub(crate) fn suspect(&mut self, now: Instant, knowledge: &Knowledge) -> bool {
        if self.suspicion.is_some() {
            return true;
        }
        if self.blocked_until.is_some_and(|until| now < until) {
            return false;
        }
        self.begin(now, knowledge);
        true
    }

    fn begin(&mut self, now: Instant, knowledge: &Knowledge) {
        self.suspicion = Some((now, knowledge.epoch()));
        // Pauses between queries end at once; a question under way is not asked twice.
        self.lanes.iter_mut().for_each(|lane| lane.next = lane.next.min(now));
    }

    pub(crate) fn mode(&self, now: Instant) -> Mode {
        match self.suspicion {
            Some(_) => Mode::Doubt,
            None if self.fast_until.is_some_and(|until| now < until) => Mode::Fast,
            None => Mode::Quiet,
        }
    }

    /// Returns the targets to query now. Each is returned once until [`done`](Self::done) reports
    /// its outcome.
    pub(crate) fn due(&mut self, now: Instant, knowledge: &Knowledge) -> Vec<Target> {
        self.update_suspicion(now, knowledge);
        self.sync_lanes(now, knowledge);
        let wanted = self.wanted(now, knowledge);
        let is_due = |lane: &&mut Lane| !lane.is_asked && lane.next <= now && wanted.contains(&lane.target);
        let mut due = Vec::new();
        for lane in self.lanes.iter_mut().filter(is_due) {
            lane.is_asked = true;
            due.push(lane.target.clone());
        }
        due
    }

    /// Returns when to call [`due`](Self::due) again at the latest.
    pub(crate) fn wake_at(&self, now: Instant, knowledge: &Knowledge) -> Instant {
        let wanted = self.wanted(now, knowledge);
        let lanes = self.lanes.iter().filter(|lane| !lane.is_asked && wanted.contains(&lane.target));
        // The ends of modes wake the task too: no lane may be due by then.
        let ends = [self.fast_until, Some(self.used + IDLE)].into_iter().flatten().filter(|end| *end > now);
        lanes.map(|lane| lane.next).chain(ends).min().unwrap_or(now + IDLE)
    }

    /// Returns whether to keep a connection to this target.
    pub(crate) fn keeps(&self, target: &Target, now: Instant, knowledge: &Knowledge) -> bool {
        self.wanted(now, knowledge).contains(target)
    }

    /// Records the outcome of a query; `random` is from 0 to 1.
    pub(crate) fn done(&mut self, target: &Target, asked: PollOutcome, now: Instant, random: f64) {
        let mode = self.mode(now);
        // The instance may have left the cluster while it was asked.
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.target == *target) else { return };
        lane.is_asked = false;
        let most = match asked {
            PollOutcome::Answered => {
                lane.failures = 0;
                lane.next = now + if mode == Mode::Quiet { self.rates.refresh } else { self.rates.high };
                return;
            }
            PollOutcome::Failed => BACK_OFF.1,
            PollOutcome::Refused => BACK_OFF.2,
        };
        let pause = BACK_OFF.0.saturating_mul(1 << lane.failures.min(16)).min(most);
        lane.failures += 1;
        // From half the pause to one and a half, so that many processes do not dial at the same
        // time.
        lane.next = now + pause.mul_f64(0.5 + random);
    }

    /// Begins and ends suspicions according to the state of the cluster.
    fn update_suspicion(&mut self, now: Instant, knowledge: &Knowledge) {
        let writer = knowledge.writer();
        let is_lost = writer.is_none_or(|writer| !writer.is_answering());
        if self.suspicion.is_none() {
            if is_lost {
                // No user statement can cause this, so it is never blocked.
                self.begin(now, knowledge);
            } else if knowledge.is_in_doubt() {
                self.suspect(now, knowledge);
            }
            return;
        }
        let Some((since, epoch)) = self.suspicion else { return };
        // By the time of the query: an answer already under way says nothing about the suspicion.
        let is_verified =
            writer.and_then(|writer| writer.last_report).is_some_and(|word| word.asked >= since);
        if is_lost || !is_verified || knowledge.is_in_doubt() {
            return;
        }
        self.suspicion = None;
        self.fast_until = Some(now + FAST);
        // There was a new writer, so the suspicion was right and the next one is not blocked.
        if knowledge.epoch() != epoch {
            (self.block, self.blocked_until) = (BLOCK.0, None);
            return;
        }
        // The writer has not changed. Unfounded suspicions are blocked for growing times, so that
        // one client cannot keep the monitor querying.
        if self.blocked_until.is_some_and(|until| now.saturating_duration_since(until) > BLOCK.1 * 5) {
            self.block = BLOCK.0;
        }
        self.blocked_until = Some(now + self.block);
        self.block = (self.block * 2).min(BLOCK.1);
    }

    /// Adds a lane for each new target and removes those of former ones.
    fn sync_lanes(&mut self, now: Instant, knowledge: &Knowledge) {
        let targets = knowledge.members().iter().map(|member| member.dialled());
        let mut targets: Vec<_> = targets.collect();
        if knowledge.has_endpoint() {
            targets.push(Target::Endpoint);
        }
        // A lane in use is dropped with its target; `done` then finds none.
        self.lanes.retain(|lane| targets.contains(&lane.target));
        for target in targets {
            if !self.lanes.iter().any(|lane| lane.target == target) {
                self.lanes.push(Lane { target, next: now, failures: 0, is_asked: false });
            }
        }
        // Prefer a reader, to spare the writer, and keep it while it answers.
        let is_reader = |target: &Target| knowledge.readers().any(|reader| reader.target() == *target);
        if !self.quiet_target.as_ref().is_some_and(is_reader) {
            let member = knowledge.readers().next().or_else(|| knowledge.writer());
            self.quiet_target = member.map(|member| member.target());
        }
    }

    fn wanted(&self, now: Instant, knowledge: &Knowledge) -> Vec<Target> {
        match self.mode(now) {
            Mode::Doubt => {
                let members = knowledge.members().iter().map(|member| member.dialled());
                // If no instance answers by name, one may be reachable through the endpoint.
                let is_by_name = knowledge
                    .members()
                    .iter()
                    .any(|member| member.is_answering() && !member.is_behind_endpoint());
                members.chain((!is_by_name).then_some(Target::Endpoint)).collect()
            }
            Mode::Fast => knowledge.writer().map(|writer| writer.target()).into_iter().collect(),
            Mode::Quiet if self.rates.refresh.is_zero() => Vec::new(),
            Mode::Quiet => self.quiet_target.clone().into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
