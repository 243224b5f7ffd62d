//! The monitor as a state machine: answers with their times go in, questions, effects and snapshots
//! come out.

use tokio::time::Instant;

use crate::{
    Snapshot,
    knowledge::{Effect, Evidence, Knowledge, Target, Verdict},
    schedule::{PollOutcome, Rates, Schedule},
};

/// The state of a cluster together with the schedule of its queries.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    pub(crate) knowledge: Knowledge,
    pub(crate) schedule: Schedule,
}

impl Monitor {
    pub(crate) fn new(knowledge: Knowledge, rates: Rates, now: Instant) -> Self {
        Self { knowledge, schedule: Schedule::new(rates, now) }
    }

    /// Returns the targets to query now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Target> {
        self.schedule.due(now, &self.knowledge)
    }

    /// Returns when to call [`due`](Self::due) again at the latest.
    pub(crate) fn wake_at(&self, now: Instant) -> Instant {
        self.schedule.wake_at(now, &self.knowledge)
    }

    /// Applies an answer to the monitor's own query.
    pub(crate) fn answered(&mut self, evidence: &Evidence, random: f64) -> (Verdict, Vec<Effect>) {
        let outcome = self.knowledge.answered(evidence);
        self.schedule.done(&evidence.dialled, PollOutcome::Answered, evidence.answered, random);
        outcome
    }

    /// Applies the failure of the monitor's own query.
    pub(crate) fn failed(
        &mut self,
        target: &Target,
        asked: Instant,
        now: Instant,
        outcome: PollOutcome,
        random: f64,
    ) -> Vec<Effect> {
        self.schedule.done(target, outcome, now, random);
        match outcome {
            // A server that refuses a login is alive, so its last report may still hold.
            PollOutcome::Refused | PollOutcome::Answered => Vec::new(),
            PollOutcome::Failed => self.knowledge.failed(target, asked, now),
        }
    }

    /// Starts a suspicion, which ends the rest of an idle monitor; returns false while suspicions
    /// are blocked.
    pub(crate) fn suspect(&mut self, now: Instant) -> bool {
        let is_taken = self.schedule.suspect(now, &self.knowledge);
        // A cluster that somebody suspects is in use, also without connects.
        if is_taken {
            self.schedule.used(now);
        }
        is_taken
    }

    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot::of(&self.knowledge, now)
    }
}

#[cfg(test)]
mod model;
