//! What may go wrong at this moment, and the first thing that may not.

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

/// Where an application connects.
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

/// What a trouble does to those whom it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Connections break, or come late.
    Broken,
    /// A caller sees a refused login.
    Refused,
}

impl Harm {
    /// How long a trouble that is over is felt: retries wait, and logins after a failover come in a
    /// pace.
    fn echo(self) -> Duration {
        match self {
            Self::Broken => Duration::from_secs(4),
            Self::Refused => Duration::from_secs(1),
        }
    }
}

/// How many troubles are remembered.
const NOTED: usize = 24;

struct Window {
    number: usize,
    target: Target,
    harm: Harm,
    from: Instant,
    until: Option<Instant>,
}

/// The invariants' judge: knows what was done, and keeps the first breach.
pub(crate) struct Verdict {
    windows: Mutex<Vec<Window>>,
    number: AtomicUsize,
    breach: watch::Sender<Option<String>>,
    troubles: Mutex<VecDeque<(Instant, String)>>,
    stale: [AtomicUsize; 4],
}

impl Verdict {
    pub(crate) fn new() -> Self {
        Self {
            windows: Mutex::default(),
            number: AtomicUsize::new(0),
            breach: watch::Sender::new(None),
            troubles: Mutex::default(),
            stale: Default::default(),
        }
    }

    /// Notes that harms begin, and that they end when what this returns is dropped.
    pub(crate) fn open(self: &Arc<Self>, targets: &[Target], harms: &[Harm]) -> Permit {
        let from = Instant::now();
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets {
            let window = |harm: &Harm| Window { number, target: *target, harm: *harm, from, until: None };
            windows.extend(harms.iter().map(window));
        }
        Permit { verdict: Arc::clone(self), number }
    }

    fn close(&self, number: usize) {
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = windows.iter_mut().filter(|window| window.number == number);
        closed.for_each(|window| window.until = Some(now));
        // What is long over permits nothing any more.
        windows.retain(|window| window.until.is_none_or(|until| now - until < Duration::from_secs(60)));
    }

    /// Notes that what logins are made with was replaced: each connection that is opened next may
    /// try the former once, whenever that is.
    pub(crate) fn outdate(&self, targets: &[Target], connections: usize) {
        targets.iter().for_each(|target| {
            self.stale[*target as usize].fetch_add(connections, Ordering::Relaxed);
        });
    }

    /// Whether a login with the former may still come to a target.
    pub(crate) fn is_outdated(&self, target: Target) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.stale[target as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// Whether something that began then and has just failed may have been met by such a harm.
    pub(crate) fn permits(&self, target: Target, harm: Harm, begun: Instant) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter().any(|window| {
            window.target == target
                && window.harm == harm
                && window.from <= Instant::now()
                && window.until.is_none_or(|until| until + harm.echo() >= begun)
        })
    }

    /// Notes a trouble, for the report of a breach.
    pub(crate) fn note(&self, trouble: impl fmt::Display) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() == NOTED {
            troubles.pop_front();
        }
        troubles.push_back((Instant::now(), trouble.to_string()));
    }

    /// Returns the last troubles, each with how long ago it began.
    fn troubles(&self) -> String {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = troubles.iter().map(|(at, trouble)| format!("\n  {:.2?} ago: {trouble}", at.elapsed()));
        lines.collect()
    }

    /// Says that an invariant is broken; the first word stands.
    pub(crate) fn breach(&self, what: impl fmt::Display) {
        self.breach.send_if_modified(|breach| {
            let is_first = breach.is_none();
            breach.get_or_insert_with(|| format!("{what}{}", self.troubles()));
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

/// What harms are permitted by until this is dropped.
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
