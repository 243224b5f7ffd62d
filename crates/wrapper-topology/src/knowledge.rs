//! What is known of a cluster, and how evidence changes it: no I/O, no clock, no runtime.
//!
//! The rules, each of which a test holds:
//!
//! - An instance is the writer only on its own word, and only if both of its answers say so.
//! - An instance counts only if it gives the id that was dialled and lists a member; the first
//!   member is the one behind the configured endpoint.
//! - Evidence has the time at which it was asked for. What was asked before the present writer had
//!   answered cannot replace it.
//! - Of two that claim to be the writer the former stays for as long as it answers; both are asked
//!   again.

use std::{sync::Arc, time::Duration};

use host_pattern::InstancePattern;
use tokio::time::Instant;
use wrapper_core::Role;

use crate::answer::{Answer, Row};

mod member;
mod target;

pub(crate) use member::Member;
pub(crate) use target::Target;

/// More instances than any cluster of RDS has: an answer that lists more is void.
const MOST_INSTANCES: usize = 32;

/// One answer, with where and when it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) dialled: Target,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    pub(crate) answer: Answer,
}

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the verified writer.
    Writer,
    /// From an instance that is a reader.
    Reader,
    /// From a member whose word does not count: its two answers disagree, another is the writer, or
    /// newer evidence is known.
    Unclear,
    /// Not from a member of the cluster, or not readable as one.
    Void(&'static str),
}

/// What follows from evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    WriterChanged {
        from: Option<Arc<str>>,
        to: Arc<str>,
        epoch: u64,
    },
    /// Connections to this instance that were open before have to end: those of writers, or all.
    Cut {
        id: Arc<str>,
        before: Instant,
        is_all: bool,
    },
    /// A second instance claims to be the writer; told once a pair.
    SecondClaim {
        writer: Arc<str>,
        claimant: Arc<str>,
    },
    /// Somebody answered who is not a member; told once.
    Stranger {
        id: Arc<str>,
        why: &'static str,
    },
}

/// Where instances are, by their ids.
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
    /// When the writer last gave its word: what was asked before that cannot replace it.
    fence: Option<Instant>,
    /// When the writer gave its word for the first time since it became the writer.
    promoted: Option<Instant>,
    /// Who else claims to be the writer, since when.
    rival: Option<(Arc<str>, Instant)>,
    /// A reader's table that names another writer, and when it was asked for: a hint where to look.
    hint: Option<(Arc<str>, Instant)>,
    told: Vec<Effect>,
}

impl Knowledge {
    /// Starts without an instance; answers tell of them.
    pub(crate) fn discovering(naming: Naming) -> Self {
        Self { naming: Some(naming), ..Self::default() }
    }

    /// Starts with all instances that there are: what answers tell of others does not count.
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

    /// Returns whether there is an endpoint that leads to some instance.
    pub(crate) fn has_endpoint(&self) -> bool {
        self.naming.is_some()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }

    /// Returns when the writer gave its word last.
    pub(crate) fn verified_at(&self) -> Option<Instant> {
        self.writer.as_ref().and(self.fence)
    }

    /// Returns whether something has to be asked: no writer, a silent one, another that claims to
    /// be it, or a table that names another.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let Some(writer) = self.writer() else { return true };
        let said = writer.said.map(|word| word.asked);
        let is_newer = |at: Instant| said.is_none_or(|said| said <= at);
        !writer.is_answering()
            || self.rival.as_ref().is_some_and(|(_, at)| is_newer(*at))
            || self.hint.as_ref().is_some_and(|(id, at)| !writer.is(id) && is_newer(*at))
    }

    /// Takes an answer in.
    pub(crate) fn answered(&mut self, evidence: &Evidence) -> (Verdict, Vec<Effect>) {
        let mut effects = Vec::new();
        let id = match self.admitted(evidence) {
            Ok(id) => id,
            Err(why) => {
                let stranger = Effect::Stranger { id: Arc::clone(&evidence.answer.id), why };
                self.tell_once(stranger, &mut effects);
                return (Verdict::Void(why), effects);
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

    /// Takes in that an instance could not be asked: its earlier answer is void.
    pub(crate) fn failed(&mut self, dialled: &Target, asked: Instant, now: Instant) -> Vec<Effect> {
        let Target::Instance { id, .. } = dialled else { return Vec::new() };
        let is_other_verified = self.writer().is_some_and(|writer| writer.is_answering() && !writer.is(id));
        let Some(member) = self.members.iter_mut().find(|member| member.is(id)) else { return Vec::new() };
        if !member.fall_silent(asked, now) {
            return Vec::new();
        }
        // Unreachable while another is verified: what is open to it leads nowhere. A former
        // writer's connections ended when that one was verified.
        match is_other_verified && member.silences() > 1 {
            true => vec![Effect::Cut { id: Arc::clone(&member.id), before: now, is_all: true }],
            false => Vec::new(),
        }
    }

    /// Decides whether an answer comes from a member, and gives the member's id.
    fn admitted(&mut self, evidence: &Evidence) -> Result<Arc<str>, &'static str> {
        let answer = &evidence.answer;
        if let Target::Instance { id, .. } = &evidence.dialled
            && !answer.id.eq_ignore_ascii_case(id)
        {
            return Err("it gives another id than the one that was dialled");
        }
        let Some(naming) = self.naming.clone() else {
            return self
                .member(&answer.id)
                .map(|member| Arc::clone(&member.id))
                .ok_or("it is not configured");
        };
        if answer.rows.len() > MOST_INSTANCES {
            return Err("it lists more than 32 instances");
        }
        let host = naming.pattern.host(&answer.id).map_err(|_| "its id makes no host name")?;
        if !lists(answer, &answer.id) {
            return Err("it does not list itself");
        }
        let is_known = |member: &Member| member.is_verified && lists(answer, &member.id);
        let is_at_endpoint = evidence.dialled == Target::Endpoint;
        if !self.members.iter().any(is_known) {
            // The first of all, or the endpoint leads to another cluster now and of the former one
            // nobody is left.
            let is_nobody_left =
                self.members.iter().filter(|member| member.is_verified).all(|m| !m.is_answering());
            if !(is_at_endpoint && is_nobody_left) {
                return Err("it lists no instance that is known");
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

    /// Notes what an instance says of itself, unless a newer word of its own is known; the role
    /// that counts.
    fn note(&mut self, id: &str, evidence: &Evidence) -> Option<Role> {
        let answer = &evidence.answer;
        let role = match (answer.is_writer, answer.is_read_only) {
            (true, false) => Some(Role::Writer),
            (false, true) => Some(Role::Reader),
            // The first answers after a failover may be stale.
            _ => None,
        };
        let is_dialled = matches!(evidence.dialled, Target::Instance { .. });
        let member = self.members.iter_mut().find(|member| member.is(id))?;
        member.speak(role, evidence.asked, evidence.answered, is_dialled).then_some(role)?
    }

    /// An instance says that it is the writer.
    fn claim(&mut self, id: &Arc<str>, evidence: &Evidence, effects: &mut Vec<Effect>) -> Verdict {
        if self.writer.as_ref() == Some(id) {
            self.fence = self.fence.max(Some(evidence.answered));
            // Asked again, it says so after the other one did: both live.
            if let Some((claimant, _)) = self.rival.take_if(|(_, at)| *at < evidence.asked) {
                self.tell_once(Effect::SecondClaim { writer: Arc::clone(id), claimant }, effects);
            }
            return Verdict::Writer;
        }
        let is_fenced = self.fence.is_some_and(|fence| evidence.asked < fence);
        let is_answering = self.writer().is_some_and(Member::is_answering);
        if is_fenced || is_answering {
            // From before the writer became it, this is what a former writer says.
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
            self.told.clear();
            // One that answers was cut when it said that it is a reader.
            if let Some(id) = from.clone()
                && self.member(&id).is_none_or(|former| !former.is_answering())
            {
                effects.push(Effect::Cut { id, before: evidence.answered, is_all: true });
            }
            effects.insert(0, Effect::WriterChanged { from, to: Arc::clone(id), epoch: self.epoch });
        }
        Verdict::Writer
    }

    /// An instance says that it is a reader: nobody knows better.
    fn reader(&mut self, id: &Arc<str>, evidence: &Evidence, effects: &mut Vec<Effect>) -> Verdict {
        self.writer.take_if(|writer| writer == id);
        self.rival.take_if(|(rival, _)| rival == id);
        effects.push(Effect::Cut { id: Arc::clone(id), before: evidence.asked, is_all: false });
        Verdict::Reader
    }

    /// Takes the rest of an answer: who else there is.
    fn learn(&mut self, evidence: &Evidence, verdict: Verdict) {
        let Some(naming) = self.naming.clone() else { return };
        let rows = &evidence.answer.rows;
        let Some(named) = rows.iter().find(|row| row.is_writer) else {
            // In the middle of a failover: what it says of others does not count.
            return;
        };
        if verdict == Verdict::Writer {
            // The writer's list is the cluster's.
            self.members.retain(|member| lists(&evidence.answer, &member.id));
            self.hint = None;
        } else if self.hint.as_ref().is_none_or(|(_, at)| *at < evidence.asked) {
            self.hint = Some((named.id.to_ascii_lowercase().into(), evidence.asked));
        }
        for row in rows {
            // An id that makes no name below the pattern's domain is nobody's.
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

    fn tell_once(&mut self, effect: Effect, effects: &mut Vec<Effect>) {
        if !self.told.contains(&effect) && self.told.len() < MOST_INSTANCES {
            self.told.push(effect.clone());
            effects.push(effect);
        }
    }

    /// Returns where to look for the writer, the likeliest first.
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

    /// Returns the readers that answer, or were not asked yet.
    pub(crate) fn readers(&self) -> impl Iterator<Item = &Member> {
        let is_writer = |member: &Member| self.writer.as_deref().is_some_and(|writer| member.is(writer));
        self.members.iter().filter(move |member| !is_writer(member) && member.is_answering())
    }
}

fn lists(answer: &Answer, id: &str) -> bool {
    answer.rows.iter().any(|row: &Row| row.id.eq_ignore_ascii_case(id))
}

/// How long a word counts where a name is unreachable but its instance answered by the endpoint.
pub(crate) const BY_ENDPOINT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
