//! One instance of a cluster.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wrapper_core::Role;

use super::Target;

/// The state of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Whether it answered as a member; otherwise another member listed it.
    pub(crate) is_verified: bool,
    pub(crate) last_report: Option<RoleReport>,
    /// The time of its last failure and the number of consecutive ones.
    failures: Option<(Instant, u32)>,
    /// When a connect to its own name last failed.
    unreachable: Option<Instant>,
    pub(crate) cpu: Option<f32>,
    pub(crate) lag: Option<Duration>,
}

/// An instance's report of its own role, with the times of its query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleReport {
    /// `None` if its two answers disagree.
    pub(crate) role: Option<Role>,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
}

impl Member {
    pub(super) fn verified(id: Arc<str>, host: Arc<str>, port: u16) -> Self {
        Self { is_verified: true, ..Self::listed(id, host, port) }
    }

    pub(super) fn listed(id: Arc<str>, host: Arc<str>, port: u16) -> Self {
        let (last_report, failures, unreachable) = (None, None, None);
        Self { id, host, port, is_verified: false, last_report, failures, unreachable, cpu: None, lag: None }
    }

    pub(crate) fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }

    /// Returns whether nothing failed since its last answer: after a failure the last report no
    /// longer counts.
    pub(crate) fn is_answering(&self) -> bool {
        self.failures.is_none()
    }

    /// Returns the number of consecutive failures.
    pub(super) fn consecutive_failures(&self) -> u32 {
        self.failures.map_or(0, |(_, count)| count)
    }

    /// Returns the role that it reported, while it answers.
    pub(crate) fn role(&self) -> Option<Role> {
        self.last_report.filter(|_| self.is_answering()).and_then(|word| word.role)
    }

    /// Returns its target: its own name, or the endpoint if the name fails and it answered there.
    pub(crate) fn target(&self) -> Target {
        match self.is_behind_endpoint() {
            true => Target::Endpoint,
            false => self.dialled(),
        }
    }

    /// Returns whether its own name fails although it answered at the endpoint.
    pub(crate) fn is_behind_endpoint(&self) -> bool {
        self.unreachable.is_some() && self.is_answering()
    }

    pub(crate) fn dialled(&self) -> Target {
        Target::Instance { id: Arc::clone(&self.id), host: Arc::clone(&self.host), port: self.port }
    }

    /// Records a report; returns false if a newer one is known.
    pub(super) fn record_report(
        &mut self,
        role: Option<Role>,
        asked: Instant,
        answered: Instant,
        is_dialled: bool,
    ) -> bool {
        // By the time of the query: a slow answer may arrive after a newer one.
        if self.last_report.is_some_and(|last_report| asked <= last_report.asked) {
            return false;
        }
        self.last_report = Some(RoleReport { role, asked, answered });
        // A failure noted after this answer still counts.
        self.failures.take_if(|(at, _)| *at <= answered);
        if is_dialled || self.unreachable.is_some_and(|at| answered - at > super::BY_ENDPOINT) {
            self.unreachable = None;
        }
        true
    }

    /// Records a failed query; returns false if an answer arrived after the query began.
    pub(super) fn record_failure(&mut self, asked: Instant, now: Instant) -> bool {
        // The failure is that of another query; this instance has answered since that one began.
        if self.last_report.is_some_and(|last_report| last_report.answered > asked) {
            return false;
        }
        let count = self.consecutive_failures() + 1;
        self.failures = Some((now, count));
        self.unreachable = Some(now);
        true
    }
}
