//! How many clients, and for how long.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Bounds what clients may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions of one proxy at once: 512.
    pub max_connections: usize,
    /// Clients that have not finished their login at once, of which the oldest goes when another
    /// comes: 64.
    pub max_handshakes: usize,
    /// The time for a client's part of the login: 10 s.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_connections: 512, max_handshakes: 64, handshake_timeout: Duration::from_secs(10) }
    }
}

/// The clients that have not finished their login.
///
/// They have room of their own, so that a port scan takes no session from anybody, and the oldest
/// makes room for the next, so that idle connections keep nobody out.
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    clients: VecDeque<(u64, CancellationToken)>,
}

/// One client's place; it is free again when this goes.
pub(crate) struct Handshake {
    handshakes: Handshakes,
    id: u64,
    /// Cancelled when the place is needed.
    pub(crate) displaced: CancellationToken,
}

impl Handshakes {
    /// Takes a place, if need be the oldest client's.
    pub(crate) fn begin(&self, most: usize) -> Handshake {
        let displaced = CancellationToken::new();
        let mut waiting = self.lock();
        let id = waiting.next;
        waiting.next += 1;
        let mut oldest = None;
        if waiting.clients.len() >= most.max(1) {
            oldest = waiting.clients.pop_front();
        }
        waiting.clients.push_back((id, displaced.clone()));
        drop(waiting);
        // Outside of the lock: a cancellation wakes whoever waits for it.
        if let Some((_, oldest)) = oldest {
            oldest.cancel();
        }
        Handshake { handshakes: self.clone(), id, displaced }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.lock().clients.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_without_a_bound_are_taken() {
        let (max_connections, max_handshakes) = (usize::MAX, usize::MAX);
        let limits = Limits { max_connections, max_handshakes, ..Limits::default() };
        drop(crate::Proxy::new(crate::Access::without_password(), limits));
    }

    #[test]
    fn oldest_handshake_makes_room_for_the_next() {
        let handshakes = Handshakes::default();
        let (first, second) = (handshakes.begin(2), handshakes.begin(2));

        let third = handshakes.begin(2);

        assert!(first.displaced.is_cancelled() && !second.displaced.is_cancelled());
        drop(second);
        let fourth = handshakes.begin(2);
        assert!(!third.displaced.is_cancelled() && !fourth.displaced.is_cancelled());
    }
}
