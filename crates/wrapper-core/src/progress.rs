//! The progress of an attempt, for the error that names its phase when the time runs out.

use std::{
    fmt,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
    task::Poll,
};

use crate::Error;

/// Names a part of a connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for credentials, which do not depend on the host.
    Credentials,
    /// Waiting for the TCP connection.
    Dial,
    /// Waiting for the server's answer to the login.
    Login,
    /// Somewhere between TCP connection and login, with a driver that does not say where.
    Open,
    /// In a plugin, such as waiting for credentials.
    #[default]
    Plugins,
    /// Pausing before a refused login is repeated: the server has answered.
    Refused,
    /// Waiting for the name to be resolved.
    Resolve,
    /// Waiting for the TLS handshake.
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Credentials => "waiting for credentials",
            Phase::Dial => "opening the TCP connection",
            Phase::Login => "logging in",
            Phase::Open => "opening the connection",
            Phase::Plugins => "waiting for a plugin",
            Phase::Refused => "pausing after a refused login",
            Phase::Resolve => "resolving the host name",
            Phase::Tls => "in the TLS handshake",
        })
    }
}

/// Notes the phase and the address that one attempt is in; clones share the note.
///
/// Notes form a tree: [`fork`](Self::fork) begins the note of a nested attempt, and a note with
/// forks reports the newest fork that is still referenced. Concurrent attempts thus never overwrite
/// each other, and a caller that waits for all of them sees the one that began last.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Note>);

#[derive(Debug)]
struct Note {
    node: Mutex<Node>,
    /// The phase of `node` while no fork has ended since it began, so that entering it again takes
    /// no lock; written under the lock.
    settled: AtomicU8,
}

/// No phase counts as settled.
const UNSETTLED: u8 = u8::MAX;

impl Default for Note {
    fn default() -> Self {
        Self { node: Mutex::default(), settled: AtomicU8::new(Phase::default() as u8) }
    }
}

#[derive(Debug, Default)]
struct Node {
    own: Position,
    forks: Vec<Weak<Note>>,
    /// Where the fork was that ended last, unless something began here since.
    ended: Option<Position>,
    /// Keeps every note between the root and the newest fork alive.
    parent: Option<Progress>,
}

impl Node {
    fn newest_fork(&self) -> Option<Progress> {
        self.forks.iter().rev().find_map(Weak::upgrade).map(Progress)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(Progress(note)) = &self.parent {
            let mut ended = self.ended.take().unwrap_or_else(|| std::mem::take(&mut self.own));
            // It is about this attempt, and is dropped before the parent is locked.
            drop(ended.refusal.take());
            // The field `parent` is dropped after this guard, so that a whole branch that ends at
            // once locks one note at a time.
            let mut parent = note.lock();
            // The user survives the parent's next phase, unlike the rest of `ended`.
            if ended.user.is_some() {
                parent.own.user.clone_from(&ended.user);
            }
            parent.ended = Some(ended);
            note.settled.store(UNSETTLED, Ordering::Release);
        }
    }
}

/// The position of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// Where a plugin led the attempt to.
    pub(crate) host: Option<Arc<str>>,
    pub(crate) phase: Phase,
    pub(crate) address: Option<SocketAddr>,
    /// All addresses that the host has.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// The user to log in, which a plugin may have supplied during the attempt.
    pub(crate) user: Option<Arc<str>>,
    /// The refusal of a login that is being repeated.
    pub(crate) refusal: Option<Error>,
}

impl Progress {
    /// Begins the note of an attempt that is part of this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.fork_with(Position::default())
    }

    /// As [`fork`](Self::fork), for a login of this user.
    pub(crate) fn fork_for(&self, user: &Arc<str>) -> Self {
        self.fork_with(Position { user: Some(Arc::clone(user)), ..Position::default() })
    }

    fn fork_with(&self, own: Position) -> Self {
        let node = Node { own, forks: Vec::new(), ended: None, parent: Some(self.clone()) };
        let settled = AtomicU8::new(UNSETTLED);
        let fork = Self(Arc::new(Note { node: Mutex::new(node), settled }));
        let mut node = self.lock();
        // Bounds the list by the number of concurrent attempts.
        node.forks.retain(|fork| fork.strong_count() > 0);
        node.forks.push(Arc::downgrade(&fork.0));
        drop(node);
        fork
    }

    /// Begins the note of an attempt on another host.
    pub(crate) fn moved_to(self, host: &Arc<str>) -> Self {
        let own = Position { host: Some(Arc::clone(host)), ..Position::default() };
        // An unshared note is reused: a plugin that keeps moving would otherwise build a branch as
        // long as its moves.
        if Arc::strong_count(&self.0) == 1 {
            let mut node = self.lock();
            let former = std::mem::replace(&mut node.own, own);
            self.0.settled.store(UNSETTLED, Ordering::Release);
            drop(node);
            // Its refusal may hold foreign values, which are not dropped under the lock.
            drop(former);
            return self;
        }
        self.fork_with(own)
    }

    /// Notes that a phase begins; the address stays.
    #[inline]
    pub fn enter(&self, phase: Phase) {
        // A fork that ends at this moment may win, as if it had ended just after.
        if self.0.settled.load(Ordering::Acquire) != phase as u8 {
            self.begin(phase);
        }
    }

    fn begin(&self, phase: Phase) {
        let mut node = self.lock();
        node.own.phase = phase;
        node.ended = None;
        self.0.settled.store(phase as u8, Ordering::Release);
    }

    /// Notes that the server refused the login, which is to be repeated: if the time runs out
    /// before the repetition ends, the error of the connect names this refusal and its causes.
    pub fn refused(&self, refusal: Error) {
        let mut node = self.lock();
        let former = (node.own.refusal.replace(refusal), node.ended.take());
        node.own.phase = Phase::Refused;
        self.0.settled.store(Phase::Refused as u8, Ordering::Release);
        drop(node);
        // It may hold foreign values, which are not dropped under the lock.
        drop(former);
    }

    /// Notes that no login is being repeated any more, so that no later error names a refusal.
    pub fn login_ended(&self) {
        let former = self.lock().own.refusal.take();
        // It may hold foreign values, which are not dropped under the lock.
        drop(former);
    }

    /// Notes all addresses that the host has, before one is dialled.
    pub fn found(&self, addresses: &[IpAddr]) {
        self.lock().own.addresses = addresses.into();
    }

    /// Notes that an address is dialled.
    pub fn dial(&self, address: SocketAddr) {
        let mut node = self.lock();
        (node.own.phase, node.own.address) = (Phase::Dial, Some(address));
        self.0.settled.store(UNSETTLED, Ordering::Release);
    }

    /// Returns the phase that the attempt is in.
    pub fn phase(&self) -> Phase {
        // As `position`, without a copy of it: a connect asks for its phase whenever it waits.
        let (own, newest) = {
            let node = self.lock();
            (node.own.phase, node.newest_fork())
        };
        newest.map_or(own, |fork| fork.phase())
    }

    /// Returns the address that was dialled last.
    pub fn address(&self) -> Option<SocketAddr> {
        self.position().address
    }

    /// Returns the final position: that of the newest living fork, else of the fork that ended
    /// last, else of this note.
    pub(crate) fn end(&self) -> Position {
        let ended = {
            let node = self.lock();
            // A fork that ends after this look leaves the phase of its parent as the answer.
            let is_alive = node.forks.iter().any(|fork| fork.strong_count() > 0);
            node.ended.clone().filter(|_| !is_alive)
        };
        ended.unwrap_or_else(|| self.position())
    }

    /// Returns the position of the newest living fork, with the host of the nearest note above it.
    pub(crate) fn position(&self) -> Position {
        let (own, newest) = {
            // Released before the fork's lock is taken: a fork that is dropped locks its parent.
            let node = self.lock();
            (node.own.clone(), node.newest_fork())
        };
        match newest {
            Some(fork) => {
                let fork = fork.position();
                Position { host: fork.host.or(own.host), refusal: fork.refusal.or(own.refusal), ..fork }
            }
            None => own,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Node> {
        self.0.lock()
    }
}

/// Polls the future of an attempt until it is done; `None` as soon as a wait that it was in has
/// ended.
///
/// `wait` returns the phase if the attempt is in one that is not held against its host, such as
/// [`Phase::Credentials`]; `waited` keeps the last such phase from one call to the next.
pub async fn until_wait_ends<T>(
    mut run: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    waited: &mut Option<Phase>,
    wait: impl Fn() -> Option<Phase>,
) -> Option<T> {
    poll_fn(|context| match run.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => match wait() {
            None if waited.is_some() => Poll::Ready(None),
            phase => {
                *waited = phase;
                Poll::Pending
            }
        },
    })
    .await
}

impl Note {
    fn lock(&self) -> MutexGuard<'_, Node> {
        // Plain values: no panic can leave them half written.
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_reports_its_newest_living_fork_and_then_itself() {
        let root = Progress::default();
        root.enter(Phase::Open);
        let (first, second) = (root.fork(), root.fork());
        first.enter(Phase::Tls);
        second.dial(([10, 0, 0, 2], 5432).into());
        let inner = second.fork();
        inner.enter(Phase::Login);
        assert_eq!((root.phase(), second.phase(), first.phase()), (Phase::Login, Phase::Login, Phase::Tls));

        drop(second);
        assert_eq!(root.phase(), Phase::Login, "the way to a fork that is held stays");

        drop(inner);
        assert_eq!(root.phase(), Phase::Tls);

        drop(first);
        assert_eq!((root.phase(), root.address()), (Phase::Open, None));
        assert_eq!(root.end().phase, Phase::Tls, "the one that ended last");

        root.enter(Phase::Plugins);
        assert_eq!(root.end().phase, Phase::Plugins);
    }

    #[test]
    fn refusal_is_reported_for_the_repetition_and_not_for_a_sibling() {
        let root = Progress::default();
        let (first, second) = (root.fork(), root.fork());
        first.refused(Error::new(crate::ErrorKind::Login, "no"));
        let repeated = first.fork();
        repeated.enter(Phase::Tls);

        let refusal = |progress: &Progress| progress.position().refusal.map(|error| error.to_string());
        assert_eq!((refusal(&first), first.phase()), (Some("no".to_owned()), Phase::Tls));
        assert_eq!((refusal(&root), refusal(&second), refusal(&repeated)), (None, None, None));
        drop(second);
        assert_eq!(refusal(&root), Some("no".to_owned()));

        drop((repeated, first));
        assert_eq!((refusal(&root), root.end().refusal.map(|error| error.to_string())), (None, None));
    }

    #[test]
    fn attempt_that_moves_on_and_on_uses_its_note_again() {
        let root = Progress::default();
        let mut moved = root.clone();
        for number in 0..100_000 {
            moved = moved.moved_to(&format!("host-{number}").into());
        }

        assert_eq!(root.position().host.as_deref(), Some("host-99999"));
        assert_eq!((root.lock().forks.len(), Arc::strong_count(&root.0)), (1, 2));
    }
}
