//! Counters of a connector, to read at any time without a metrics stack.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{ConnectRequest, Error};

/// Counters of a connector and its plugins, in total and by host and user.
///
/// Counters of a provider that several connectors share are the same for all of them; those in
/// [`targets`](Self::targets) belong to this connector's plugins alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Logins that a server accepted.
    pub accepted: u64,
    /// Passwords, such as tokens, that came out of a cache.
    pub hits: u64,
    /// When a server last accepted a login.
    pub last_accepted: Option<SystemTime>,
    /// Logins that a server refused.
    pub logins_refused: u64,
    /// Times that no usable password was in a cache.
    pub misses: u64,
    /// Renewals of credentials or secrets that failed while the unexpired ones went on serving.
    pub renewals_failed: u64,
    /// Logins tried once more with a new password.
    pub retries: u64,
    /// Tokens signed.
    pub signed: u64,
    /// Logins that a server put off because there were too many.
    pub throttled: u64,
    /// Callers that waited for credentials or a secret that another had asked for.
    pub waits: u64,
    /// The same by the host that was dialled, its port, and the user; 256 at most.
    pub targets: Vec<TargetStats>,
}

/// Counters of the logins of one user at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetStats {
    /// The host that was dialled, wherever plugins led the connect to.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
    /// The database user.
    pub user: Arc<str>,
    /// Logins that the server accepted.
    pub accepted: u64,
    /// Passwords, such as tokens, that came out of a cache.
    pub hits: u64,
    /// When the server last accepted a login.
    pub last_accepted: Option<SystemTime>,
    /// Logins that the server refused.
    pub logins_refused: u64,
    /// Logins tried once more with a new password.
    pub retries: u64,
    /// Tokens signed.
    pub signed: u64,
    /// Logins that the server put off because there were too many.
    pub throttled: u64,
}

impl TargetStats {
    fn new(host: &Arc<str>, port: u16, user: &Arc<str>) -> Self {
        Self {
            host: Arc::clone(host),
            port,
            user: Arc::clone(user),
            accepted: 0,
            hits: 0,
            last_accepted: None,
            logins_refused: 0,
            retries: 0,
            signed: 0,
            throttled: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.hits += other.hits;
        self.last_accepted = self.last_accepted.max(other.last_accepted);
        self.logins_refused += other.logins_refused;
        self.retries += other.retries;
        self.signed += other.signed;
        self.throttled += other.throttled;
    }
}

/// More targets than a connector has, unless its plugins keep turning to new ones; any beyond it
/// count in the totals alone.
const MOST: usize = 256;

/// Counts by target, for plugins.
#[derive(Debug, Default)]
pub struct TargetCounters(Mutex<Vec<TargetStats>>);

impl TargetCounters {
    /// Adds to the counters of the target that a request leads to: the closure sets by how much, on
    /// counters that are zero.
    pub fn count(&self, request: &ConnectRequest, change: impl FnOnce(&mut TargetStats)) {
        // Outside of the lock: the closure may read the statistics of its connector.
        let (host, user) = request.shared_names();
        let mut more = TargetStats::new(host, request.port(), user);
        change(&mut more);
        // Plain counters: no panic can leave them half written.
        let mut targets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = of(&mut targets, host, request.port(), user) {
            target.add(&more);
        }
    }

    /// Adds these counters to the statistics of a connector.
    pub fn add_to(&self, stats: &mut Stats) {
        for own in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            if let Some(target) = of(&mut stats.targets, &own.host, own.port, &own.user) {
                target.add(own);
            }
        }
    }
}

/// Finds a target or begins its counters; `None` where there are too many.
fn of<'a>(
    targets: &'a mut Vec<TargetStats>,
    host: &Arc<str>,
    port: u16,
    user: &Arc<str>,
) -> Option<&'a mut TargetStats> {
    let is_it = |target: &TargetStats| target.host == *host && target.port == port && target.user == *user;
    let at = match targets.iter().position(is_it) {
        Some(at) => at,
        None if targets.len() < MOST => {
            targets.push(TargetStats::new(host, port, user));
            targets.len() - 1
        }
        None => return None,
    };
    targets.get_mut(at)
}

/// Counts how servers answer the logins of a connector.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    total: Mutex<Stats>,
    targets: TargetCounters,
}

impl Logins {
    pub(crate) fn note<T>(&self, request: &ConnectRequest, outcome: &Result<T, Error>) {
        let (accepted, refused, throttled) = match outcome {
            Ok(_) => (1, 0, 0),
            Err(error) => (0, u64::from(error.is_login()), u64::from(error.is_throttled())),
        };
        if accepted + refused + throttled == 0 {
            return;
        }
        let last_accepted = outcome.is_ok().then(now);
        {
            // One lock after the other: a reader in between sees a login in total and not yet by
            // target.
            let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
            total.accepted += accepted;
            total.logins_refused += refused;
            total.throttled += throttled;
            total.last_accepted = total.last_accepted.max(last_accepted);
        }
        self.targets.count(request, |target| {
            target.accepted += accepted;
            target.logins_refused += refused;
            target.throttled += throttled;
            target.last_accepted = last_accepted;
        });
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.total.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.targets.add_to(&mut stats);
        stats
    }
}

#[expect(clippy::disallowed_methods, reason = "a moment to show: nothing is decided by it")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn logins_are_counted_in_total_and_by_target() {
        let logins = Logins::default();
        let to = |host: &str, user: &str| ConnectRequest::new(host, 5432, user);
        let failed = |kind| Err::<(), _>(Error::new(kind, "no"));

        logins.note(&to("a", "jane"), &Ok(()));
        logins.note(&to("a", "jane"), &failed(ErrorKind::Login));
        logins.note(&to("a", "joe"), &failed(ErrorKind::Throttled));
        logins.note(&to("b", "jane"), &failed(ErrorKind::Connect));

        let stats = logins.stats();
        assert_eq!((stats.accepted, stats.logins_refused, stats.throttled), (1, 1, 1));
        assert!(stats.last_accepted.is_some());
        let counted = |target: &TargetStats| {
            (target.user.to_string(), target.accepted, target.logins_refused, target.throttled)
        };
        let targets: Vec<_> = stats.targets.iter().map(counted).collect();
        assert_eq!(targets, [("jane".to_owned(), 1, 1, 0), ("joe".to_owned(), 0, 0, 1)]);
    }

    #[test]
    fn targets_beyond_the_bound_count_in_total_alone() {
        let logins = Logins::default();
        for number in 0..1_000 {
            logins.note(&ConnectRequest::new(&format!("host-{number}"), 1, "jane"), &Ok(()));
        }

        let stats = logins.stats();
        assert_eq!((stats.accepted, stats.targets.len()), (1_000, MOST));
    }

    #[test]
    fn counters_of_a_plugin_join_those_of_the_logins() {
        let (logins, own) = (Logins::default(), TargetCounters::default());
        let request = ConnectRequest::new("a", 1, "jane");
        logins.note(&request, &Ok(()));
        own.count(&request, |target| target.signed += 1);
        own.count(&ConnectRequest::new("b", 1, "jane"), |target| target.hits += 2);

        let mut stats = logins.stats();
        own.add_to(&mut stats);

        let counted = |target: &TargetStats| (target.accepted, target.signed, target.hits);
        assert_eq!(stats.targets.iter().map(counted).collect::<Vec<_>>(), [(1, 1, 0), (0, 0, 2)]);
    }

    #[test]
    fn closure_may_read_the_counters_that_it_adds_to() {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (own, request) = (TargetCounters::default(), ConnectRequest::new("a", 1, "jane"));
            for _ in 0..2 {
                own.count(&request, |target| {
                    own.add_to(&mut Stats::default());
                    target.hits += 2;
                });
            }
            let mut stats = Stats::default();
            own.add_to(&mut stats);
            done.send(stats.targets[0].hits)
        });

        assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(30)), Ok(4));
    }
}
