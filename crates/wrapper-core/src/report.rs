//! Reports of how connects ended, to `tracing` and to the listeners of events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    ConnectRequest, Error, Event, Events, Result,
    adapter::Phase,
    event::{ConnectFinished, Outcome},
    progress::Position,
};

/// How often a target that keeps refusing is warned of.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Targets whose refusals are counted: more than a connector has, unless its plugins keep turning
/// to new ones.
const MOST_TARGETS: usize = 256;

/// Reports the connects of one connector.
#[derive(Debug)]
pub(crate) struct Reporter {
    plugins: Arc<str>,
    events: Events,
    refusals: Refusals,
}

impl Reporter {
    pub(crate) fn new(plugins: Arc<str>, events: Events) -> Self {
        Self { plugins, events, refusals: Refusals::default() }
    }

    pub(crate) fn plugins(&self) -> &Arc<str> {
        &self.plugins
    }

    /// Begins to watch a connect; one that is dropped before it finished counts as abandoned.
    pub(crate) fn begin<'a>(&'a self, request: &'a ConnectRequest) -> Attempt<'a> {
        Attempt { reporter: self, request, start: Instant::now(), is_over: false }
    }

    fn report(&self, request: &ConnectRequest, start: Instant, outcome: Outcome) {
        let duration = start.elapsed();
        // Nothing is prepared for a success that nobody hears of: the fields of an event are read
        // only where it is enabled.
        match &outcome {
            Outcome::Connected => {
                tracing::debug!(
                    host = request.host(),
                    port = request.port(),
                    user = &*request.progress().end().user_of(request),
                    plugins = &*self.plugins,
                    outcome = "connected",
                    duration_ms = duration.as_millis() as u64,
                    "connect done"
                );
            }
            Outcome::Failed(_) | Outcome::Abandoned => self.report_failure(request, &outcome, duration),
        }
        if !self.events.is_empty() {
            let position = request.progress().end();
            self.events.emit(&Event::ConnectFinished(ConnectFinished {
                host: request.host().into(),
                port: request.port(),
                user: (&*position.user_of(request)).into(),
                plugins: Arc::clone(&self.plugins),
                address: position.address,
                phase: position.phase_at(&outcome),
                outcome,
                duration,
            }));
        }
    }

    fn report_failure(&self, request: &ConnectRequest, outcome: &Outcome, duration: Duration) {
        let (host, port, plugins) = (request.host(), request.port(), &*self.plugins);
        let position = request.progress().end();
        let (user, phase) = (&*position.user_of(request), position.phase_at(outcome));
        let duration_ms = duration.as_millis() as u64;
        match outcome {
            Outcome::Failed(error) => {
                tracing::debug!(
                    host,
                    port,
                    user,
                    plugins,
                    outcome = ?error.kind(),
                    phase = ?phase,
                    duration_ms,
                    %error,
                    "connect failed"
                );
                self.warn_of_refusal(request, user, error);
            }
            _ => {
                tracing::debug!(
                    host,
                    port,
                    user,
                    plugins,
                    outcome = "abandoned",
                    phase = ?phase,
                    duration_ms,
                    "connect given up by its caller"
                );
            }
        }
    }

    fn warn_of_refusal(&self, request: &ConnectRequest, user: &str, error: &Error) {
        if error.server().is_none() && !error.is_login() {
            return;
        }
        let (host, port) = (request.host(), request.port());
        // The lock of the counters is released by then: a subscriber may connect by itself.
        if let Some(refused) = self.refusals.note((host.into(), port, user.into()), Instant::now()) {
            tracing::warn!(
                host,
                port,
                user,
                plugins = &*self.plugins,
                outcome = ?error.kind(),
                refused,
                %error,
                "connect refused"
            );
        }
    }
}

impl Position {
    /// Returns the user that was to log in: a plugin may have brought one.
    fn user_of(&self, request: &ConnectRequest) -> Arc<str> {
        self.user.clone().unwrap_or_else(|| request.user().into())
    }

    /// Returns the phase in which an attempt with this outcome ended.
    fn phase_at(&self, outcome: &Outcome) -> Phase {
        match outcome {
            // A plugin may have looked for a better password since.
            Outcome::Failed(error) if error.is_login() => Phase::Login,
            _ => self.phase,
        }
    }
}

/// One connect that is under way.
pub(crate) struct Attempt<'a> {
    reporter: &'a Reporter,
    request: &'a ConnectRequest,
    start: Instant,
    is_over: bool,
}

impl Attempt<'_> {
    /// Returns how long it has been under way.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reports how it ended.
    pub(crate) fn finish<T>(mut self, outcome: &Result<T>) {
        self.is_over = true;
        self.reporter.report(
            self.request,
            self.start,
            match outcome {
                Ok(_) => Outcome::Connected,
                Err(error) => Outcome::Failed(error.clone()),
            },
        );
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // In the middle of a panic a subscriber or a callback of the program's could turn it into
        // an abort.
        if !self.is_over && !std::thread::panicking() {
            self.reporter.report(self.request, self.start, Outcome::Abandoned);
        }
    }
}

/// Counts refusals by host, port and user.
#[derive(Debug, Default)]
struct Refusals(Mutex<HashMap<Target, Counted>>);

type Target = (Box<str>, u16, Box<str>);

#[derive(Debug)]
struct Counted {
    warned_at: Instant,
    since: u64,
}

impl Refusals {
    /// Notes a refusal; how many there were since the last warning, this one included, if another
    /// is due.
    fn note(&self, target: Target, now: Instant) -> Option<u64> {
        // Plain counters: no panic can leave them half written.
        let mut targets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = targets.get_mut(&target) {
            counted.since += 1;
            if now.duration_since(counted.warned_at) < WARN_EVERY {
                return None;
            }
            counted.warned_at = now;
            return Some(std::mem::take(&mut counted.since));
        }
        if targets.len() >= MOST_TARGETS {
            // Targets whose next refusal would be reported anyway can be forgotten.
            targets.retain(|_, counted| now.duration_since(counted.warned_at) < WARN_EVERY);
            if targets.len() >= MOST_TARGETS {
                return None;
            }
        }
        targets.insert(target, Counted { warned_at: now, since: 0 });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_refusal_is_warned_of_and_then_one_a_minute_with_a_count() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let note = |host: &str, after: u64| {
            refusals.note((host.into(), 1, "jane".into()), start + Duration::from_secs(after))
        };

        assert_eq!(note("a", 0), Some(1));
        assert_eq!(note("a", 1), None);
        assert_eq!(note("b", 2), Some(1));
        assert_eq!(note("a", 59), None);
        assert_eq!(note("a", 60), Some(3));
        assert_eq!(note("a", 61), None);
        assert_eq!(note("a", 600), Some(2));
    }

    #[test]
    fn targets_beyond_the_bound_are_forgotten() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for port in 0..2_000 {
            refusals.note(("a".into(), port, "jane".into()), start);
        }
        assert_eq!(refusals.0.lock().expect("no panic").len(), MOST_TARGETS);
        let later = start + WARN_EVERY;
        assert_eq!(refusals.note(("b".into(), 1, "jane".into()), later), Some(1));
    }
}
