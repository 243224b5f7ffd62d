//! The monitor as a state machine: answers with their times go in, questions, effects and snapshots
//! come out.

use tokio::time::Instant;

use crate::{
    Snapshot,
    knowledge::{Effect, Evidence, Knowledge, Target, Verdict},
    schedule::{Asked, Rates, Schedule},
};

/// What is known of a cluster beside when to ask whom.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    pub(crate) knowledge: Knowledge,
    pub(crate) schedule: Schedule,
}

impl Monitor {
    pub(crate) fn new(knowledge: Knowledge, rates: Rates, now: Instant) -> Self {
        Self { knowledge, schedule: Schedule::new(rates, now) }
    }

    /// Whom to ask now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Target> {
        self.schedule.due(now, &self.knowledge)
    }

    /// Returns when to call [`due`](Self::due) again, if nothing happens before.
    pub(crate) fn wake_at(&self, now: Instant) -> Instant {
        self.schedule.wake_at(now, &self.knowledge)
    }

    /// Takes in the answer to a question of the monitor's own.
    pub(crate) fn answered(&mut self, evidence: &Evidence, random: f64) -> (Verdict, Vec<Effect>) {
        let outcome = self.knowledge.answered(evidence);
        self.schedule.done(&evidence.dialled, Asked::Answered, evidence.answered, random);
        outcome
    }

    /// Takes in that a question of the monitor's own was not answered.
    pub(crate) fn failed(
        &mut self,
        target: &Target,
        asked: Instant,
        now: Instant,
        outcome: Asked,
        random: f64,
    ) -> Vec<Effect> {
        self.schedule.done(target, outcome, now, random);
        match outcome {
            // A server that refuses a login is there; what it said before may still hold.
            Asked::Refused | Asked::Answered => Vec::new(),
            Asked::Failed => self.knowledge.failed(target, asked, now),
        }
    }

    /// Takes a suspicion; false while suspicions are blocked.
    pub(crate) fn suspect(&mut self, now: Instant) -> bool {
        self.schedule.suspect(now, &self.knowledge)
    }

    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot::of(&self.knowledge, now)
    }
}

#[cfg(test)]
mod model;
