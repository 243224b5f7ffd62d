//! The failures permitted at each moment, and the first breach.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// The target of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    MysqlCluster,
    MysqlServer,
    PostgresCluster,
    PostgresServer,
}

impl Target {
    pub(crate) const ALL: [Self; 4] =
        [Self::PostgresCluster, Self::MysqlCluster, Self::PostgresServer, Self::MysqlServer];
}

/// The effect of a disruption on callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Impact {
    /// Connections break, or are delayed.
    Broken,
    /// A caller sees a refused login.
    Refused,
}

impl Impact {
    /// How long the effect lasts after the disruption: retries wait, and logins after a failover
    /// are paced.
    fn aftermath(self) -> Duration {
        match self {
            Self::Broken => Duration::from_secs(4),
            Self::Refused => Duration::from_secs(1),
        }
    }
}

/// The number of disruptions kept for a report.
const NOTED: usize = 24;

struct Window {
    number: usize,
    target: Target,
    impact: Impact,
    from: Instant,
    until: Option<Instant>,
}

/// Judges the invariants: knows the injected disruptions, and keeps the first breach.
pub(crate) struct Verdict {
    windows: Mutex<Vec<Window>>,
    number: AtomicUsize,
    breach: watch::Sender<Option<String>>,
    disruptions: Mutex<VecDeque<(Instant, String)>>,
    stale: [AtomicUsize; 4],
}

impl Verdict {
    pub(crate) fn new() -> Self {
        Self {
            windows: Mutex::default(),
            number: AtomicUsize::new(0),
            breach: watch::Sender::new(None),
            disruptions: Mutex::default(),
            stale: Default::default(),
        }
    }

    /// Permits impacts until the returned permit is dropped.
    pub(crate) fn open(self: &Arc<Self>, targets: &[Target], impacts: &[Impact]) -> Permit {
        let from = Instant::now();
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets {
            let window =
                |impact: &Impact| Window { number, target: *target, impact: *impact, from, until: None };
            windows.extend(impacts.iter().map(window));
        }
        Permit { verdict: Arc::clone(self), number }
    }

    fn close(&self, number: usize) {
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = windows.iter_mut().filter(|window| window.number == number);
        closed.for_each(|window| window.until = Some(now));
        // Windows closed long ago permit nothing.
        windows.retain(|window| window.until.is_none_or(|until| now - until < Duration::from_secs(60)));
    }

    /// Notes that keys or passwords were replaced: each of the next connections may once try the
    /// former one, at any time.
    pub(crate) fn outdate(&self, targets: &[Target], connections: usize) {
        targets.iter().for_each(|target| {
            self.stale[*target as usize].fetch_add(connections, Ordering::Relaxed);
        });
    }

    /// Returns whether a login with former credentials is still permitted at a target.
    pub(crate) fn is_outdated(&self, target: Target) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.stale[target as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// Returns whether an impact may explain the failure now of an operation that began at `begun`.
    pub(crate) fn permits(&self, target: Target, impact: Impact, begun: Instant) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter().any(|window| {
            window.target == target
                && window.impact == impact
                && window.from <= Instant::now()
                && window.until.is_none_or(|until| until + impact.aftermath() >= begun)
        })
    }

    /// Records a disruption, for the report of a breach.
    pub(crate) fn note(&self, disruption: impl fmt::Display) {
        let mut disruptions = self.disruptions.lock().unwrap_or_else(PoisonError::into_inner);
        if disruptions.len() == NOTED {
            disruptions.pop_front();
        }
        disruptions.push_back((Instant::now(), disruption.to_string()));
    }

    /// Returns the last disruptions, each with how long ago it began.
    fn disruptions(&self) -> String {
        let disruptions = self.disruptions.lock().unwrap_or_else(PoisonError::into_inner);
        let lines =
            disruptions.iter().map(|(at, disruption)| format!("\n  {:.2?} ago: {disruption}", at.elapsed()));
        lines.collect()
    }

    /// Reports a broken invariant; the first report is kept.
    pub(crate) fn breach(&self, what: impl fmt::Display) {
        self.breach.send_if_modified(|breach| {
            let is_first = breach.is_none();
            breach.get_or_insert_with(|| format!("{what}{}", self.disruptions()));
            is_first
        });
    }

    /// Waits for the first breach.
    pub(crate) async fn broken(&self) -> String {
        let mut breach = self.breach.subscribe();
        let broken = breach.wait_for(Option::is_some).await;
        broken.ok().and_then(|breach| breach.clone()).unwrap_or_default()
    }
}

/// Permits impacts until it is dropped.
#[must_use]
pub(crate) struct Permit {
    verdict: Arc<Verdict>,
    number: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.verdict.close(self.number);
    }
}
