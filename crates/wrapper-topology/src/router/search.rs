//! One connect that searches an instance of the wanted role until its deadline.

use std::{error::Error as _, io, iter, time::Duration};

use tokio::time::{Instant, timeout_at};
use wrapper_core::{ConnectRequest, Connected, Error, ErrorKind, Next, Result};

use super::{ATTEMPT, Router, attempt::Outcome, end_of, wrong};
use crate::{
    Topology,
    gate::{self, Host},
    knowledge::{Knowledge, Target},
    parameters::RequestedRole,
    stats::Counters,
};

/// How long a connect leaves the search to the monitor before it tries by itself.
const LEFT_TO_MONITOR: Duration = Duration::from_secs(1);

pub(super) struct Search<'r> {
    pub(super) router: &'r Router,
    pub(super) request: ConnectRequest,
    pub(super) wanted: RequestedRole,
    began: Instant,
    pub(super) until: Instant,
    /// The end for an attempt that waits for credentials, which all hosts need: that of all hosts.
    pub(super) last_until: Instant,
    /// The targets tried in this round.
    tried: Vec<Target>,
    last: Option<Error>,
}

impl<'r> Search<'r> {
    pub(super) fn new(router: &'r Router, request: ConnectRequest, wanted: RequestedRole) -> Self {
        let began = Instant::now();
        let end = |deadline| end_of(deadline, began, router.options.retry_timeout);
        let until = end(request.deadline());
        let last_until = until.max(end(request.last_deadline().or(request.deadline())));
        Self { router, request, wanted, began, until, last_until, tried: Vec::new(), last: None }
    }

    pub(super) fn topology(&self) -> &'r Topology {
        &self.router.topology
    }

    pub(super) async fn run<C: Send + 'static>(mut self, next: Next<'_, C>) -> Result<Connected<C>> {
        loop {
            self.leave_to_monitor().await;
            let until = self.until;
            // Picked within `admit`: while this connect waits for its turn, the writer may change.
            let Some((turn, target)) = self.topology().pace().admit(until, || self.pick()).await else {
                break;
            };
            self.tried.push(target.clone());
            let error = match self.attempt(next, &target).await {
                Ok(Outcome::Found(connected)) => {
                    self.topology().pace().succeeded();
                    return Ok(connected);
                }
                Ok(Outcome::Elsewhere(error)) => {
                    Counters::count(&self.topology().counters().wrong_roles);
                    error
                }
                Err(error) => {
                    // Also if the error ends this connect: all other logins at this host have to
                    // slow down.
                    if error.is_throttled() {
                        gate::throttled(&turn);
                    }
                    if !may_be_elsewhere(&error) {
                        return Err(error);
                    }
                    error
                }
            };
            let is_informed = error.kind() == ErrorKind::WrongInstance && self.knows_another();
            // The timeout of the last attempt says less than an instance's earlier error.
            let is_late = error.kind() == ErrorKind::Timeout && Instant::now() >= self.until;
            if !is_late || self.last.is_none() {
                self.last = Some(error);
            }
            if is_informed {
                // The instance named another target, so this is no failure for the pace.
                continue;
            }
            self.topology().slowed(&turn);
            if Instant::now() >= self.until {
                break;
            }
            // Subscribed after this attempt's own failure, which may be a change of version itself.
            // If another thread applies it later, this pause is short.
            let mut version = self.topology().version();
            let pause = self.until.min(Instant::now() + self.router.options.retry_interval);
            drop(timeout_at(pause, version.changed()).await);
        }
        Err(self.over())
    }

    /// Waits while the monitor searches for the writer: each connect that did so too would cost a
    /// login.
    async fn leave_to_monitor(&self) {
        if !self.router.has_monitor || self.wanted != RequestedRole::Writer {
            return;
        }
        let mut version = self.topology().version();
        let end = self.until.min(Instant::now() + LEFT_TO_MONITOR);
        while self.topology().with_knowledge(is_looked_for) {
            if timeout_at(end, version.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Returns the next target, the likeliest one not tried in this round, and the host that its
    /// login counts for.
    fn pick(&mut self) -> (Target, Host) {
        let candidates = self.topology().with_knowledge(|known| self.candidates(known));
        let untried = candidates.iter().find(|target| !self.tried.contains(target)).cloned();
        let target = untried.unwrap_or_else(|| {
            self.tried.clear();
            candidates.into_iter().next().unwrap_or(Target::Endpoint)
        });
        let (host, port) = match &target {
            Target::Endpoint => (self.request.host(), self.request.port()),
            Target::Instance { host, port, .. } => (&**host, *port),
        };
        let host = (host.into(), port);
        (target, host)
    }

    fn candidates(&self, known: &Knowledge) -> Vec<Target> {
        let RequestedRole::Reader { or_writer } = self.wanted else { return known.writer_candidates() };
        let mut readers: Vec<_> = known.readers().map(|reader| reader.target()).collect();
        let knows_roles =
            known.writer().is_some() || known.members().iter().any(|member| member.last_report.is_some());
        // Before any role was reported every member passes for a reader, even the writer.
        if !knows_roles {
            readers.clear();
        }
        // Drawn once per round; the later picks of a round follow the order of the list.
        if self.tried.is_empty() && !readers.is_empty() {
            let first = self.router.options.strategy.first(self.topology().turns(), readers.len());
            readers.rotate_left(first);
        }
        if known.has_endpoint() {
            readers.push(Target::Endpoint);
        }
        // Last, so that the writer serves only if no reader does.
        if or_writer || readers.is_empty() {
            readers.extend(known.writer_candidates());
        }
        readers
    }

    /// Returns whether there is a likelier target than those already tried.
    fn knows_another(&self) -> bool {
        let first = self.topology().with_knowledge(|known| match self.wanted {
            RequestedRole::Reader { .. } => {
                known.readers().map(|reader| reader.target()).find(|t| !self.tried.contains(t))
            }
            _ => known.writer_candidates().into_iter().next(),
        });
        first.is_some_and(|target| target != Target::Endpoint && !self.tried.contains(&target))
    }

    /// Returns whether all readers were tried in this round, so that the writer may serve as one.
    pub(super) fn has_no_reader_left(&self) -> bool {
        self.topology()
            .with_knowledge(|known| known.readers().all(|reader| self.tried.contains(&reader.target())))
    }

    fn over(self) -> Error {
        let seconds = self.began.elapsed().as_secs_f64();
        let role = match self.wanted {
            RequestedRole::Reader { .. } => "reader",
            _ => "writer",
        };
        let now = Instant::now();
        let (has_answered, last_seen) = self.topology().with_knowledge(|known| {
            let heard = known.members().iter().filter(|member| member.last_report.is_some());
            let seen: Vec<_> = heard
                .filter_map(|member| {
                    let ago = now.saturating_duration_since(member.last_report?.answered).as_secs();
                    let state = match (member.is_answering(), member.last_report?.role) {
                        (false, _) => "no longer answering",
                        (true, Some(wrapper_core::Role::Writer)) => "the writer",
                        (true, Some(wrapper_core::Role::Reader)) => "a reader",
                        (true, None) => "in transition",
                    };
                    Some(format!("`{}` {state}, {ago} s ago", member.id))
                })
                .collect();
            (!seen.is_empty(), seen.join("; "))
        });
        match self.last {
            // No instance was ever reached: the error says more than a missing writer.
            Some(error) if !has_answered => error,
            None if !has_answered => self.request.timed_out(self.began.elapsed()),
            last => {
                let message = format!("no verified {role} for {seconds:.0} s; last seen: {last_seen}");
                match last {
                    Some(error) => {
                        wrong(message).with_diagnosis(error.diagnosis().to_vec()).with_source(error)
                    }
                    None => wrong(message),
                }
            }
        }
    }
}

/// Returns whether a formerly known writer is being searched for.
fn is_looked_for(known: &Knowledge) -> bool {
    known.last_writer().is_some() && known.writer().is_none_or(|writer| !writer.is_answering())
}

/// Returns whether another instance, or the same one later, may accept the connect.
fn may_be_elsewhere(error: &Error) -> bool {
    error.kind() == ErrorKind::WrongInstance || is_unreached(error)
}

/// Returns whether an error means that the instance could not be reached.
pub(super) fn is_unreached(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Connect
        | ErrorKind::Driver
        | ErrorKind::Resolve
        | ErrorKind::Timeout
        | ErrorKind::Transient => true,
        // A connection lost during the handshake counts; a wrong certificate does not.
        ErrorKind::Tls => is_connection_lost(error),
        _ => false,
    }
}

fn is_connection_lost(error: &Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let mut causes = iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| match cause.downcast_ref::<io::Error>() {
        Some(io) => matches!(
            io.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
        ),
        // OpenSSL has no system error for a peer that just closed the connection.
        None => cause.to_string().to_ascii_lowercase().contains("unexpected eof"),
    })
}

/// Returns the deadline of one attempt: the connect's own if there is no other target.
pub(super) fn attempt_end(target: &Target, known: &Knowledge, until: Instant, now: Instant) -> Instant {
    match target {
        Target::Endpoint if known.members().is_empty() => until,
        _ => until.min(now + ATTEMPT),
    }
}
