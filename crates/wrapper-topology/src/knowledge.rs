//! The state of a cluster and how evidence changes it: no I/O, no clock, no runtime.
//!
//! The rules, each held by a test:
//!
//! - An instance is the writer only on its own report, and only if both of its answers agree.
//! - An instance is admitted only if it reports the dialled id and lists a known member; the first
//!   member is the one behind the configured endpoint.
//! - Evidence carries the time of its query. Evidence queried before the current writer's last
//!   answer cannot replace that writer.
//! - Of two instances that claim to be the writer, the known one is kept while it answers; both are
//!   queried again.

use std::{sync::Arc, time::Duration};

use host_pattern::InstancePattern;
use tokio::time::Instant;
use wrapper_core::Role;

use crate::answer::{Answer, Row};

mod member;
mod target;

pub(crate) use member::Member;
pub(crate) use target::Target;

/// Above the size of any RDS cluster: an answer that lists more is rejected.
const MOST_INSTANCES: usize = 32;

/// One answer, with the target and the times of its query.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) dialled: Target,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    pub(crate) answer: Answer,
}

/// The result of applying an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the verified writer.
    Writer,
    /// From an instance that is a reader.
    Reader,
    /// From a member, without effect: its two answers disagree, another is the writer, or newer
    /// evidence is known.
    Unclear,
    /// Not from a member of the cluster; the reason is a clause about "it".
    Rejected(&'static str),
}

/// A consequence of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    WriterChanged {
        from: Option<Arc<str>>,
        to: Arc<str>,
        epoch: u64,
    },
    /// Connections to this instance opened before this time must end: those opened as the writer's,
    /// or all.
    Cut {
        id: Arc<str>,
        before: Instant,
        is_all: bool,
    },
    /// A second instance claims to be the writer; reported once per pair.
    RivalWriter {
        writer: Arc<str>,
        claimant: Arc<str>,
    },
    /// An answer from outside the cluster; reported once.
    Rejected {
        id: Arc<str>,
        why: &'static str,
    },
}

/// How an instance's host follows from its id.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) pattern: InstancePattern,
    pub(crate) port: u16,
}

/// The state: members, the writer and the epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    naming: Option<Naming>,
    members: Vec<Member>,
    writer: Option<Arc<str>>,
    last_writer: Option<Arc<str>>,
    epoch: u64,
    changed_at: Option<Instant>,
    /// When the writer last confirmed its role: evidence queried before that cannot replace it.
    fence: Option<Instant>,
    /// When the writer first confirmed its role.
    promoted: Option<Instant>,
    /// Another instance that claims to be the writer, since when.
    rival: Option<(Arc<str>, Instant)>,
    /// The writer named in a reader's table, and when it was queried: a hint where to look, no
    /// proof.
    hint: Option<(Arc<str>, Instant)>,
    reported: Vec<Effect>,
}

impl Knowledge {
    /// Creates the state of a cluster with instances to be discovered.
    pub(crate) fn discovering(naming: Naming) -> Self {
        Self { naming: Some(naming), ..Self::default() }
    }

    /// Creates the state of a cluster with a fixed list of instances; others are ignored.
    pub(crate) fn fixed(members: impl IntoIterator<Item = (String, u16)>) -> Self {
        let member = |(host, port): (String, u16)| Member::verified(host.as_str().into(), host.into(), port);
        Self { members: members.into_iter().map(member).collect(), ..Self::default() }
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.is(id))
    }

    pub(crate) fn writer(&self) -> Option<&Member> {
        self.writer.as_deref().and_then(|id| self.member(id))
    }

    pub(crate) fn last_writer(&self) -> Option<&str> {
        self.last_writer.as_deref()
    }

    /// Returns whether the cluster has an endpoint.
    pub(crate) fn has_endpoint(&self) -> bool {
        self.naming.is_some()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }

    /// Returns when the query was asked that the writer last answered with its role: the answer
    /// refutes only suspicions that are older than the query.
    pub(crate) fn verified_as_of(&self) -> Option<Instant> {
        let report = self.writer()?.last_report?;
        (report.role == Some(Role::Writer)).then_some(report.asked)
    }

    /// Returns whether the writer must be verified: it is missing or silent, another instance
    /// claims its role, or a reader's table names another.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let Some(writer) = self.writer() else { return true };
        let reported = writer.last_report.map(|word| word.asked);
        let is_newer = |at: Instant| reported.is_none_or(|reported| reported <= at);
        !writer.is_answering()
            || self.rival.as_ref().is_some_and(|(_, at)| is_newer(*at))
            || self.hint.as_ref().is_some_and(|(id, at)| !writer.is(id) && is_newer(*at))
    }

    /// Applies an answer.
    pub(crate) fn answered(&mut self, evidence: &Evidence) -> (Verdict, Vec<Effect>) {
        let mut effects = Vec::new();
        let id = match self.admitted(evidence) {
            Ok(id) => id,
            Err(why) => {
                let rejected = Effect::Rejected { id: Arc::clone(&evidence.answer.id), why };
                self.report_once(rejected, &mut effects);
                return (Verdict::Rejected(why), effects);
            }
        };
        let verdict = match self.note(&id, evidence) {
            Some(Role::Writer) => self.claim(&id, evidence, &mut effects),
            Some(Role::Reader) => self.reader(&id, evidence, &mut effects),
            None => Verdict::Unclear,
        };
        if verdict != Verdict::Unclear {
            self.learn(evidence, verdict);
        }
        (verdict, effects)
    }

    /// Applies the failure of a query: the instance's earlier answer no longer counts.
    pub(crate) fn failed(&mut self, dialled: &Target, asked: Instant, now: Instant) -> Vec<Effect> {
        let Target::Instance { id, .. } = dialled else { return Vec::new() };
        let is_other_verified = self.writer().is_some_and(|writer| writer.is_answering() && !writer.is(id));
        let Some(member) = self.members.iter_mut().find(|member| member.is(id)) else { return Vec::new() };
        if !member.record_failure(asked, now) {
            return Vec::new();
        }
        // Unreachable while another is verified: its open connections are dead. The connections of
        // a former writer were cut when the new one was verified.
        match is_other_verified && member.consecutive_failures() > 1 {
            true => vec![Effect::Cut { id: Arc::clone(&member.id), before: now, is_all: true }],
            false => Vec::new(),
        }
    }

    /// Returns the id of the member that answered, or why the answer is rejected.
    fn admitted(&mut self, evidence: &Evidence) -> Result<Arc<str>, &'static str> {
        let answer = &evidence.answer;
        if let Target::Instance { id, .. } = &evidence.dialled
            && !answer.id.eq_ignore_ascii_case(id)
        {
            return Err("it reports another id than the dialled one");
        }
        let Some(naming) = self.naming.clone() else {
            return self
                .member(&answer.id)
                .map(|member| Arc::clone(&member.id))
                .ok_or("it is not one of the configured instances");
        };
        if answer.rows.len() > MOST_INSTANCES {
            return Err("it lists more than 32 instances");
        }
        let host = naming.pattern.host(&answer.id).map_err(|_| "its id is not a label of a host name")?;
        if !lists(answer, &answer.id) {
            return Err("it does not list itself");
        }
        // Only members that answered vouch for others: a list may hold any id.
        let is_known = |member: &Member| member.is_verified && lists(answer, &member.id);
        let is_at_endpoint = evidence.dialled == Target::Endpoint;
        if !self.members.iter().any(is_known) {
            // Only the first answer of all may introduce a cluster, or one from the endpoint after
            // it has moved to another cluster and no member of the former one answers.
            let is_nobody_left =
                self.members.iter().filter(|member| member.is_verified).all(|m| !m.is_answering());
            if !(is_at_endpoint && is_nobody_left) {
                return Err("it lists no known instance");
            }
            (self.members, self.hint, self.rival) = Default::default();
            self.writer = None;
        }
        let port = naming.pattern.port().unwrap_or(naming.port);
        let id: Arc<str> = answer.id.to_ascii_lowercase().into();
        match self.members.iter_mut().find(|member| member.is(&id)) {
            Some(member) => member.is_verified = true,
            None => self.members.push(Member::verified(Arc::clone(&id), host.into(), port)),
        }
        Ok(id)
    }

    /// Records an instance's report of its role, unless a newer one is known. Returns the role if
    /// both of its answers agree.
    fn note(&mut self, id: &str, evidence: &Evidence) -> Option<Role> {
        let answer = &evidence.answer;
        let role = match (answer.is_writer, answer.is_read_only) {
            (true, false) => Some(Role::Writer),
            (false, true) => Some(Role::Reader),
            // The first answers after a failover may be stale: the two disagree then.
            _ => None,
        };
        let is_dialled = matches!(evidence.dialled, Target::Instance { .. });
        let member = self.members.iter_mut().find(|member| member.is(id))?;
        member.record_report(role, evidence.asked, evidence.answered, is_dialled).then_some(role)?
    }

    /// Applies the report of an instance that it is the writer.
    fn claim(&mut self, id: &Arc<str>, evidence: &Evidence, effects: &mut Vec<Effect>) -> Verdict {
        if self.writer.as_ref() == Some(id) {
            // Answers arrive in any order, and the fence never moves back.
            self.fence = self.fence.max(Some(evidence.answered));
            // The writer confirms its role after the rival claimed it: both are alive.
            if let Some((claimant, _)) = self.rival.take_if(|(_, at)| *at < evidence.asked) {
                self.report_once(Effect::RivalWriter { writer: Arc::clone(id), claimant }, effects);
            }
            return Verdict::Writer;
        }
        let is_fenced = self.fence.is_some_and(|fence| evidence.asked < fence);
        let is_answering = self.writer().is_some_and(Member::is_answering);
        if is_fenced || is_answering {
            // A claim from before the writer's promotion is a former writer's and no rival.
            if is_answering && self.promoted.is_none_or(|promoted| evidence.asked >= promoted) {
                self.rival = Some((Arc::clone(id), evidence.answered));
            }
            return Verdict::Unclear;
        }
        self.writer = Some(Arc::clone(id));
        self.fence = Some(evidence.answered);
        self.promoted = self.fence;
        self.rival = None;
        let from = self.last_writer.replace(Arc::clone(id));
        if from.as_ref() != Some(id) {
            self.epoch += 1;
            self.changed_at = Some(evidence.answered);
            self.reported.clear();
            // A former writer that still answers was cut when it reported that it is a reader.
            if let Some(id) = from.clone()
                && self.member(&id).is_none_or(|former| !former.is_answering())
            {
                effects.push(Effect::Cut { id, before: evidence.answered, is_all: true });
            }
            // Listeners learn of the new writer before connections to the former one break.
            effects.insert(0, Effect::WriterChanged { from, to: Arc::clone(id), epoch: self.epoch });
        }
        Verdict::Writer
    }

    /// Applies the report of an instance that it is a reader, which is final: no other instance
    /// knows better.
    fn reader(&mut self, id: &Arc<str>, evidence: &Evidence, effects: &mut Vec<Effect>) -> Verdict {
        self.writer.take_if(|writer| writer == id);
        self.rival.take_if(|(rival, _)| rival == id);
        // Only connections from before the query: a later one may be to the promoted instance.
        effects.push(Effect::Cut { id: Arc::clone(id), before: evidence.asked, is_all: false });
        Verdict::Reader
    }

    /// Applies the list of instances in an answer.
    fn learn(&mut self, evidence: &Evidence, verdict: Verdict) {
        let Some(naming) = self.naming.clone() else { return };
        let rows = &evidence.answer.rows;
        let Some(named) = rows.iter().find(|row| row.is_writer) else {
            // In the middle of a failover the list is unreliable.
            return;
        };
        if verdict == Verdict::Writer {
            // The writer's list is authoritative.
            self.members.retain(|member| lists(&evidence.answer, &member.id));
            self.hint = None;
        } else if self.hint.as_ref().is_none_or(|(_, at)| *at < evidence.asked) {
            self.hint = Some((named.id.to_ascii_lowercase().into(), evidence.asked));
        }
        for row in rows {
            // An id that forms no name below the pattern's domain is ignored.
            let Ok(host) = naming.pattern.host(&row.id) else { continue };
            let at = match self.members.iter().position(|member| member.is(&row.id)) {
                Some(at) => at,
                None if self.members.len() >= MOST_INSTANCES => continue,
                None => {
                    let port = naming.pattern.port().unwrap_or(naming.port);
                    self.members.push(Member::listed(row.id.to_ascii_lowercase().into(), host.into(), port));
                    self.members.len() - 1
                }
            };
            (self.members[at].cpu, self.members[at].lag) = (row.cpu, row.lag);
        }
    }

    fn report_once(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        // Bounded, because a server can report any number of ids.
        if !self.reported.contains(&effect) && self.reported.len() < MOST_INSTANCES {
            self.reported.push(effect.clone());
            effects.push(effect);
        }
    }

    /// Returns the targets where the writer may be, the likeliest first.
    pub(crate) fn writer_candidates(&self) -> Vec<Target> {
        let mut candidates = Vec::new();
        let mut add = |target: Target| {
            if !candidates.contains(&target) {
                candidates.push(target);
            }
        };
        let writer = self.writer();
        if let Some(writer) = writer.filter(|writer| writer.is_answering()) {
            add(writer.target());
        }
        let hinted = self.hint.as_ref().and_then(|(id, _)| self.member(id));
        if let Some(hinted) = hinted.filter(|hinted| hinted.is_answering() || !hinted.is_verified) {
            add(hinted.target());
        }
        if self.naming.is_some() {
            add(Target::Endpoint);
        }
        self.members.iter().filter(|member| member.is_answering()).for_each(|member| add(member.target()));
        self.members.iter().for_each(|member| add(member.dialled()));
        candidates
    }

    /// Returns the readers that answer or were not queried yet.
    pub(crate) fn readers(&self) -> impl Iterator<Item = &Member> {
        let is_writer = |member: &Member| self.writer.as_deref().is_some_and(|writer| member.is(writer));
        self.members.iter().filter(move |member| !is_writer(member) && member.is_answering())
    }
}

fn lists(answer: &Answer, id: &str) -> bool {
    answer.rows.iter().any(|row: &Row| row.id.eq_ignore_ascii_case(id))
}

/// How long an instance with an unreachable name is reached through the endpoint before its name is
/// tried again.
pub(crate) const BY_ENDPOINT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
