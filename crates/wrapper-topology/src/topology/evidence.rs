//! What connects and the monitor learned, applied to a topology.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Topology;
use crate::{
    choice::jitter,
    knowledge::{Evidence, Target, Verdict},
    schedule::PollOutcome,
};

impl Topology {
    /// Applies the answer to an application's connect.
    pub(crate) fn answered(&self, evidence: &Evidence) -> Verdict {
        let verdict = self.change(|state| state.monitor.knowledge.answered(evidence));
        self.report(verdict);
        let is_detour = self.with_knowledge(|known| {
            known.member(&evidence.answer.id).is_some_and(|member| member.is_behind_endpoint())
        });
        // Relaxed: the flag guards no other memory, only the first swap matters.
        if is_detour && !self.0.has_warned_of_endpoint.swap(true, Ordering::Relaxed) {
            let instance = evidence.answer.id.escape_debug().to_string();
            tracing::warn!(
                instance,
                "the instance is unreachable by its own name, so connects use the endpoint: check security \
                 groups and DNS"
            );
        }
        verdict
    }

    /// Applies an answer to the monitor.
    pub(crate) fn monitor_answered(&self, evidence: &Evidence) -> Verdict {
        let verdict = self.change(|state| state.monitor.answered(evidence, jitter()));
        self.report(verdict);
        verdict
    }

    /// Notifies the connects under way of a reader, which changes no version while no writer is
    /// known.
    fn report(&self, verdict: Verdict) {
        if verdict == Verdict::Reader {
            self.0.reports.send_replace(());
        }
    }

    /// Applies the failure of an application's connect.
    pub(crate) fn failed(&self, target: &Target, asked: Instant) {
        let now = Instant::now();
        self.change(|state| {
            state.monitor.suspect(now);
            ((), state.monitor.knowledge.failed(target, asked, now))
        });
        self.wake();
    }

    /// Applies the failure of the monitor's query.
    pub(crate) fn monitor_failed(&self, target: &Target, asked: Instant, outcome: PollOutcome) {
        let now = Instant::now();
        self.change(|state| ((), state.monitor.failed(target, asked, now, outcome, jitter())));
    }
}
