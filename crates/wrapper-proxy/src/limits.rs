//! How many clients, and for how long.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The time that a client has for its login before it makes room for another: a pool that opens all
/// its connections at once is not an attack.
const GRACE: Duration = Duration::from_secs(1);

/// So many times the limit, the oldest goes at once: nobody takes all descriptors within the grace.
const BURST: usize = 8;

/// Bounds what clients may take.
///
/// # Unfinished logins
///
/// They have room of their own beside the sessions. From `max_handshakes` on the oldest has to make
/// room for the next, as soon as it has had one second; at eight times as many at once.
///
/// To drop the oldest of 64 at the very moment would keep honest clients out. Whoever opens R
/// connections a second leaves every other client 64/R s for its login: at 1,000 a second, which a
/// shell's loop does, 64 ms, too little for a Java program that starts on a busy machine or for a
/// MySQL server 50 ms away, whose greeting comes first. A pool that opens 200 connections at once
/// would even drop 136 of its own. Nor does it help to take no more clients than there is room for:
/// the queue is then the attacker's, and with a second for each of 64 it is endless from 65 a
/// second on. As it is, a login has one second up to 512 connections a second and 512/R s beyond,
/// while an attacker holds 512 descriptors (which `rds-iam proxy` reckons with), no session, and at
/// MySQL as many connections of the server for a second at most.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions of one proxy at once: 512.
    pub max_connections: usize,
    /// Clients that have not finished their login at once, of which the oldest goes when another
    /// comes, though no sooner than a second after it came itself: 64. At eight times as many it
    /// goes at once.
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
/// makes room for the next, so that idle connections keep no one out.
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    /// The oldest first, each with what displaces it in time and at once.
    clients: VecDeque<(u64, CancellationToken, CancellationToken)>,
}

/// One client's place; it is free again when this goes.
pub(crate) struct Handshake {
    handshakes: Handshakes,
    id: u64,
    begun: Instant,
    displaced: CancellationToken,
    evicted: CancellationToken,
}

impl Handshake {
    /// Ends when the place is needed by another.
    pub(crate) async fn displaced(&self) {
        let in_time = async {
            self.displaced.cancelled().await;
            sleep_until(self.begun + GRACE).await;
        };
        tokio::select! {
            () = in_time => {}
            () = self.evicted.cancelled() => {}
        }
    }
}

impl Handshakes {
    /// Takes a place, if need be the oldest client's.
    pub(crate) fn begin(&self, most: usize) -> Handshake {
        let (displaced, evicted) = (CancellationToken::new(), CancellationToken::new());
        let most = most.max(1);
        let mut waiting = self.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.clients.push_back((id, displaced.clone(), evicted.clone()));
        let count = waiting.clients.len();
        // Those before it had to go already.
        let over = count.checked_sub(most.saturating_add(1)).and_then(|index| waiting.clients.get(index));
        let mut needless: Vec<_> = over.map(|(_, displaced, _)| displaced.clone()).into_iter().collect();
        if count > most.saturating_mul(BURST) {
            needless.extend(waiting.clients.pop_front().map(|(_, _, evicted)| evicted));
        }
        drop(waiting);
        // Outside of the lock: a cancellation wakes its waiters.
        needless.iter().for_each(CancellationToken::cancel);
        Handshake { handshakes: self.clone(), id, begun: Instant::now(), displaced, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.lock().clients.retain(|(id, ..)| *id != self.id);
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

    #[tokio::test(start_paused = true)]
    async fn oldest_handshake_has_a_second_unless_there_are_eight_times_too_many() {
        let (handshakes, begun) = (Handshakes::default(), Instant::now());
        let mut clients: Vec<_> = (0..16).map(|_| handshakes.begin(2)).collect();
        clients[0].displaced().await;
        assert_eq!(begun.elapsed().as_secs(), GRACE.as_secs());

        let begun = Instant::now();
        clients.push(handshakes.begin(2));
        clients[0].displaced().await;
        assert!(clients[0].evicted.is_cancelled() && !clients[1].evicted.is_cancelled());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
