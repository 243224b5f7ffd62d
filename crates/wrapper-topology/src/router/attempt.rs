//! One connect to one instance, with the check of its role.

use std::sync::Arc;

use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep_until},
};
use wrapper_core::{
    ConnectRequest, Connected, Error, ErrorKind, Next, Result, Role,
    adapter::{Phase, until_wait_ends},
    events::CredentialsFailure,
};

use super::{
    ATTEMPT,
    search::{Search, attempt_end, is_unreached},
    wrong,
};
use crate::{
    knowledge::{Evidence, Target, Verdict},
    parameters::RequestedRole,
};

pub(super) enum Outcome<C> {
    Found(Connected<C>),
    /// The instance has another role.
    Elsewhere(Error),
}

impl Search<'_> {
    /// Connects and verifies the role; an error is that of the connect or of the query.
    pub(super) async fn attempt<C: Send + 'static>(
        &self,
        next: Next<'_, C>,
        target: &Target,
    ) -> Result<Outcome<C>> {
        let asked = Instant::now();
        let outcome = match self.open(next, target).await {
            Ok(connected) => self.judge(next, target, connected).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome
            && is_unreached(error)
        {
            self.topology().failed(target, asked);
        }
        outcome
    }

    async fn open<C: Send + 'static>(&self, next: Next<'_, C>, target: &Target) -> Result<Connected<C>> {
        let request = match target {
            Target::Endpoint => self.request.clone().fork(),
            Target::Instance { id, host, port } => {
                let request = match self.request.host().eq_ignore_ascii_case(host) {
                    // Keeps what was configured for this host, such as an address.
                    true => self.request.clone().fork(),
                    false => self.request.clone().with_host(host),
                };
                request.with_port(*port).with_instance(id)
            }
        };
        // Subscribed before the dial, so that what is learned during it ends the wait.
        let (mut reports, version) = (self.topology().reports(), self.topology().version());
        let end = |now| self.topology().with_knowledge(|known| attempt_end(target, known, self.until, now));
        let began = Instant::now();
        let mut end = end(began);
        // Polled by reference: a turn of the loop keeps the connect, and a return drops and so
        // cancels it.
        let mut run = next.run(request);
        // Credentials are the same for every instance, so that a wait for them is not held against
        // this one: they may come until the time of all hosts ends, and the attempt begins when
        // they do. A pause after a refusal is none either: the instance has answered.
        let wait = || {
            let phase = self.request.progress().phase();
            matches!(phase, Phase::Credentials | Phase::Refused).then_some(phase)
        };
        let (mut waited, mut ended) = (None, None);
        loop {
            tokio::select! {
                // An open connection comes first: its own answer about the role counts for more
                // than a change.
                biased;
                opened = until_wait_ends(run.as_mut(), &mut waited, wait) => {
                    if let Some(opened) = opened {
                        return opened;
                    }
                }
                changed = reports.changed() => {
                    if changed.is_ok() && self.is_elsewhere(target, began, &version) {
                        return Err(wrong("the writer changed while the connection was being opened"));
                    }
                    continue;
                }
                () = sleep_until(end) => {
                    // Read anew, because another task may have changed the phase.
                    let is_waiting = wait().is_some();
                    if end >= self.last_until && is_waiting {
                        // Neither says anything about the instance, so its state is kept.
                        return Err(self.request.timed_out(began.elapsed()));
                    }
                    if end >= self.last_until || !(waited.is_some() || is_waiting) {
                        return Err(self.request.after_refusal(late(target, began, end, ended)));
                    }
                }
            }
            // The wait has ended, or takes longer than an attempt.
            let now = Instant::now();
            let before = std::mem::replace(&mut waited, wait());
            ended = before.filter(|_| waited.is_none()).map(|phase| (phase, now));
            end = end.max(self.last_until.min(now + ATTEMPT));
        }
    }

    /// Returns whether the writer has changed meanwhile and is another instance than the dialled
    /// one, or that one has reported that it is a reader: the first of many concurrent connects
    /// learns it for all.
    fn is_elsewhere(&self, target: &Target, began: Instant, version: &Receiver<u64>) -> bool {
        self.wanted == RequestedRole::Writer
            && self.topology().with_knowledge(|known| {
                // A writer that was known before the dial is no reason to end it: woken by the
                // report of any reader.
                let has_changed = version.has_changed().unwrap_or(false);
                let is_other = known.writer().filter(|_| has_changed).is_some_and(|writer| {
                    // Behind the endpoint, a dial of the endpoint is the one that leads to it.
                    let leads_there = |id: &Arc<str>| writer.is(id);
                    writer.is_answering() && !target.id().map_or(writer.is_behind_endpoint(), leads_there)
                });
                let word = target.id().and_then(|id| known.member(id)?.last_report);
                is_other || word.is_some_and(|word| word.role == Some(Role::Reader) && word.asked >= began)
            })
    }

    /// Queries a fresh connection for its role, and for everything if the role is unexpected.
    async fn judge<C: Send + 'static>(
        &self,
        next: Next<'_, C>,
        target: &Target,
        mut connected: Connected<C>,
    ) -> Result<Outcome<C>> {
        if !self.router.options.verifies {
            return Ok(Outcome::Found(connected));
        }
        let topology = self.topology();
        // One query where the role is as expected; otherwise what is known may be outdated.
        if let Some(id) = self.expected(target) {
            let is_read_only = topology.is_read_only(&mut next.session(&mut connected)).await?;
            let role = if is_read_only { Role::Reader } else { Role::Writer };
            if Some(role) == self.wanted.role() {
                return Ok(Outcome::Found(self.hand_out(connected, &id, role)));
            }
        }
        // Before the query, as the evidence is ordered by it: the answer may describe any later
        // moment.
        let asked = Instant::now();
        let answer = topology.ask(&mut next.session(&mut connected), target.id()).await?;
        // The server belongs to no cluster: it is simply the configured one.
        let Some(answer) = answer else { return Ok(Outcome::Found(connected)) };
        let id: Arc<str> = answer.id.to_ascii_lowercase().into();
        let evidence = Evidence { dialled: target.clone(), asked, answered: Instant::now(), answer };
        let verdict = topology.answered(&evidence);
        let is_writer_enough = self.wanted == RequestedRole::Reader { or_writer: true };
        match (verdict, self.wanted) {
            (Verdict::Writer, RequestedRole::Writer) => {
                Ok(Outcome::Found(self.hand_out(connected, &id, Role::Writer)))
            }
            (Verdict::Reader, RequestedRole::Reader { .. }) => {
                Ok(Outcome::Found(self.hand_out(connected, &id, Role::Reader)))
            }
            // A reader endpoint without readers leads to the writer as well.
            (Verdict::Writer, _) if is_writer_enough && self.has_no_reader_left() => {
                Ok(Outcome::Found(self.hand_out(connected, &id, Role::Writer)))
            }
            (Verdict::Rejected(why), _) => {
                let id = id.escape_debug();
                Ok(Outcome::Elsewhere(wrong(format!("the answer of instance `{id}` was rejected: {why}"))))
            }
            (Verdict::Writer, _) => Ok(Outcome::Elsewhere(wrong(format!("instance `{id}` is the writer")))),
            (Verdict::Reader, _) => Ok(Outcome::Elsewhere(wrong(format!("instance `{id}` is a reader")))),
            (Verdict::Unclear, _) => Ok(Outcome::Elsewhere(wrong(format!(
                "instance `{id}` gave contradictory or outdated answers about its role"
            )))),
        }
    }

    /// Returns the instance if it is known to have the wanted role, so that a query of the role is
    /// enough.
    fn expected(&self, target: &Target) -> Option<Arc<str>> {
        self.topology().with_knowledge(|known| {
            let member = known.member(target.id()?)?;
            let is_writer = known.writer().is_some_and(|writer| writer.is(&member.id));
            let is_expected = match self.wanted {
                RequestedRole::Writer => is_writer,
                RequestedRole::Reader { .. } => !is_writer && member.role() == Some(Role::Reader),
                RequestedRole::Any => false,
            };
            (is_expected && member.is_verified).then(|| Arc::clone(&member.id))
        })
    }

    fn hand_out<C>(&self, mut connected: Connected<C>, id: &Arc<str>, role: Role) -> Connected<C> {
        connected.established.set_instance(id);
        connected.established.set_role(role);
        // After the role is set: a cut finds connections by the role that they were opened for.
        self.topology().hand_out(id, &connected.established);
        connected
    }
}

/// Returns the error of an attempt that ran out of time, which counts against the instance unless a
/// wait ended too late: it took most of the time, and left little.
fn late(target: &Target, began: Instant, end: Instant, ended: Option<(Phase, Instant)>) -> Error {
    let what = target.id().map_or("the endpoint", |id| id);
    let waited = ended.map(|(phase, at)| (phase, at - began, end.saturating_duration_since(at)));
    match waited.filter(|&(_, waited, left)| left < ConnectRequest::LEAST_SHARE.min(waited)) {
        Some((Phase::Refused, waited, _)) => Error::new(
            ErrorKind::Login,
            format!(
                "`{what}` refused the login, which was repeated after {waited:.1?}, too late for an answer"
            ),
        ),
        Some((_, waited, _)) => Error::new(
            ErrorKind::Credentials(CredentialsFailure::TimedOut),
            format!("credentials came after {waited:.1?}, too late for a login at `{what}`"),
        ),
        None => Error::new(ErrorKind::Timeout, format!("connecting to `{what}` timed out")),
    }
}

#[cfg(test)]
mod tests;
