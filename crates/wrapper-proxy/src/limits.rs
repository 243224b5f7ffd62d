//! How many clients may connect, and how long an unfinished login may take.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The time that a client has for each of its answers before it makes room for another: a pool that
/// opens all its connections at once is not an attack.
const GRACE: Duration = Duration::from_secs(1);

/// The grace is slept in so many parts: on a busy machine each takes longer, as the client does.
const GRACE_PARTS: u32 = 10;

/// At so many times the limit the oldest is dropped at once, so that no attacker takes all
/// descriptors within the grace.
const BURST: usize = 8;

/// Bounds what clients may take.
///
/// # Unfinished logins
///
/// They have room of their own beside the sessions. Above `max_handshakes` the oldest makes room
/// for the next, but only after one second in which the proxy waited for it: a MySQL client has it
/// from the server's greeting on, and every client again after each answer of the proxy. At eight
/// times as many the oldest is dropped at once.
///
/// Dropping the oldest of 64 immediately would keep honest clients out: an attacker that opens R
/// connections a second leaves every other client 64/R s for its login. At 1,000 a second, the rate
/// of a shell loop, that is 64 ms, too little for a Java program that starts on a busy machine. A
/// pool that opens 200 connections at once would even drop 136 of its own. Accepting no more
/// clients than there is room for does not help either: the queue then belongs to the attacker. As
/// it is, a login has its second up to 512 connections a second and 512/R s beyond, while an
/// attacker holds 512 descriptors (which `rds-iam proxy` allows for), no session, and at MySQL as
/// many connections of the server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions of one proxy at once: 512.
    pub max_connections: usize,
    /// Clients with an unfinished login at once, above which the oldest is dropped for the next,
    /// after a second's grace: 64. At eight times as many it is dropped at once.
    pub max_handshakes: usize,
    /// The time for a client's part of the login: 10 s.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_connections: 512, max_handshakes: 64, handshake_timeout: Duration::from_secs(10) }
    }
}

/// The clients with an unfinished login; see [`Limits`].
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    /// The oldest first, each with the wake-up when its place is needed, and its end at once.
    clients: VecDeque<(u64, Arc<Notify>, CancellationToken)>,
}

/// One client's place, which is free again when this is dropped.
pub(crate) struct Handshake {
    handshakes: Handshakes,
    id: u64,
    most: usize,
    /// Whether the proxy waits for the client, or the client for the proxy; each change starts the
    /// grace again.
    is_clients_turn: watch::Sender<bool>,
    needed: Arc<Notify>,
    evicted: CancellationToken,
}

impl Handshake {
    /// Gives the client the whole grace for its next answer, which it can send from now on.
    pub(crate) fn restart_grace(&self) {
        self.is_clients_turn.send_replace(true);
    }

    /// Stops the grace while the client has nothing to answer yet.
    pub(crate) fn suspend_grace(&self) {
        self.is_clients_turn.send_replace(false);
    }

    /// Ends when another client needs the place.
    pub(crate) async fn displaced(&self) {
        let in_time = async {
            let mut turn = self.is_clients_turn.subscribe();
            loop {
                let is_clients_turn = *turn.borrow_and_update();
                tokio::select! {
                    // A client that has just answered has its grace again, even where the last one
                    // is over. The sender lives as long as `self`, so this waits and never fails.
                    biased;
                    _ = turn.changed() => {}
                    () = self.grace_and_need(), if is_clients_turn => break,
                }
            }
        };
        tokio::select! {
            () = in_time => {}
            () = self.evicted.cancelled() => {}
        }
    }

    async fn grace_and_need(&self) {
        for _ in 0..GRACE_PARTS {
            sleep(GRACE / GRACE_PARTS).await;
        }
        // The need may have passed, since others finished: their places are as good. `notify_one`
        // stores its permit, so one between the check and the wait is not lost.
        while !self.is_needed() {
            self.needed.notified().await;
        }
    }

    /// Returns whether so many clients came after this one that its place is needed.
    fn is_needed(&self) -> bool {
        let waiting = self.handshakes.lock();
        let place = waiting.clients.iter().position(|(id, ..)| *id == self.id);
        place.is_some_and(|place| place.saturating_add(self.most) < waiting.clients.len())
    }
}

impl Handshakes {
    /// Takes a place, if necessary the oldest client's.
    pub(crate) fn begin(&self, most: usize) -> Handshake {
        let (needed, evicted) = (Arc::new(Notify::new()), CancellationToken::new());
        let most = most.max(1);
        let mut waiting = self.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.clients.push_back((id, Arc::clone(&needed), evicted.clone()));
        let count = waiting.clients.len();
        // A place becomes needed only by an arrival, which makes it that of one client more.
        let over = count.checked_sub(most.saturating_add(1)).and_then(|index| waiting.clients.get(index));
        let over = over.map(|(_, needed, _)| Arc::clone(needed));
        let is_burst = count > most.saturating_mul(BURST);
        let oldest = if is_burst { waiting.clients.pop_front() } else { None };
        drop(waiting);
        // After the lock is released: both wake their waiters.
        if let Some(needed) = over {
            needed.notify_one();
        }
        if let Some((_, _, evicted)) = oldest {
            evicted.cancel();
        }
        let is_clients_turn = watch::Sender::new(true);
        Handshake { handshakes: self.clone(), id, most, is_clients_turn, needed, evicted }
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
    use std::{future::pending, pin::pin};

    use tokio::time::{Instant, timeout};

    use super::*;

    #[test]
    fn limits_without_a_bound_are_accepted() {
        let (max_connections, max_handshakes) = (usize::MAX, usize::MAX);
        let limits = Limits { max_connections, max_handshakes, ..Limits::default() };
        drop(crate::Proxy::new(crate::Access::without_password(), limits));
    }

    #[test]
    fn oldest_handshake_makes_room_for_the_next() {
        let handshakes = Handshakes::default();
        let (first, second) = (handshakes.begin(2), handshakes.begin(2));

        let third = handshakes.begin(2);

        assert!(first.is_needed() && !second.is_needed());
        drop(second);
        let fourth = handshakes.begin(2);
        assert!(!third.is_needed() && !fourth.is_needed());
    }

    #[tokio::test(start_paused = true)]
    async fn client_stays_once_the_others_have_finished() {
        let handshakes = Handshakes::default();
        let first = handshakes.begin(1);
        drop(handshakes.begin(1));

        assert!(timeout(3 * GRACE, first.displaced()).await.is_err());

        let _next = handshakes.begin(1);
        assert!(timeout(GRACE, first.displaced()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_has_just_answered_has_its_grace_again() {
        for _ in 0..64 {
            let handshakes = Handshakes::default();
            let first = handshakes.begin(1);
            let mut displaced = pin!(first.displaced());
            assert!(timeout(2 * GRACE, &mut displaced).await.is_err());

            let _second = handshakes.begin(1);
            first.restart_grace();

            assert!(timeout(GRACE / 2, &mut displaced).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_handshake_has_a_second_below_eight_times_the_limit() {
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

    #[tokio::test(start_paused = true)]
    async fn grace_begins_when_the_client_can_act_and_again_after_each_of_its_answers() {
        let (handshakes, begun) = (Handshakes::default(), Instant::now());
        let first = handshakes.begin(1);
        first.suspend_grace();
        let _second = handshakes.begin(1);

        let greeted = async {
            sleep(Duration::from_secs(20)).await;
            first.restart_grace();
            sleep(GRACE / 2).await;
            first.restart_grace();
            pending::<()>().await;
        };
        tokio::select! {
            () = greeted => {}
            () = first.displaced() => {}
        }

        assert_eq!(begun.elapsed(), Duration::from_secs(20) + GRACE / 2 + GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn client_without_grace_is_dropped_at_eight_times_the_limit() {
        let (handshakes, begun) = (Handshakes::default(), Instant::now());
        let first = handshakes.begin(1);
        first.suspend_grace();
        let _others: Vec<_> = (0..BURST).map(|_| handshakes.begin(1)).collect();

        first.displaced().await;

        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
