//! The tasks that wait for a fetch.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Wake, Waker},
};

use crate::sync::{Mutex, lock};

/// The tasks that wait for one fetch; as a waker it wakes all of them.
///
/// All instead of one: a single woken task may belong to a runtime that is idle or gone, or may be
/// dropped before it polls. `futures_util::Shared` loses wakes in the latter case
/// (futures-rs#2706).
#[derive(Default)]
pub(super) struct Waiters(Mutex<List>);

#[derive(Default)]
struct List {
    wakers: BTreeMap<u64, Waker>,
    last_place: u64,
    /// Whether the fetch asked to be polled again while it is being polled.
    is_woken: Option<bool>,
}

impl Waiters {
    /// Notes or renews the waker of one waiter.
    pub(super) fn join(&self, place: &mut Option<u64>, waker: &Waker) {
        // Wakers are the executor's code: cloned before the lock is taken, dropped after its
        // release.
        let waker = waker.clone();
        let mut list = lock(&self.0);
        let place = *place.get_or_insert_with(|| {
            list.last_place += 1;
            list.last_place
        });
        let former = list.wakers.insert(place, waker);
        drop(list);
        drop(former);
    }

    /// Removes a waiter; if it was dropped unfinished, another one is woken in its place.
    pub(super) fn leave(&self, place: u64, is_finished: bool) {
        let mut list = lock(&self.0);
        let own = list.wakers.remove(&place);
        let other = if is_finished { None } else { list.wakers.values().next().cloned() };
        drop(list);
        drop(own);
        other.into_iter().for_each(Waker::wake);
    }

    /// Claims the right to poll the fetch, unless another waiter holds it.
    pub(super) fn begin_poll(&self) -> bool {
        let mut list = lock(&self.0);
        let is_free = list.is_woken.is_none();
        // `Some` marks the fetch as taken. A wake from within its poll is noted there, see
        // `wake_by_ref`.
        list.is_woken.get_or_insert(false);
        is_free
    }

    /// Releases the right to poll after the fetch was put back.
    pub(super) fn end_poll(&self) {
        let is_woken = lock(&self.0).is_woken.take();
        // Waiters woken meanwhile found the fetch taken, and the poller's own task may be dropped
        // before it polls again: without this wake the flight could stall.
        if is_woken == Some(true) {
            self.wake_all();
        }
    }

    pub(super) fn wake_all(&self) {
        // Copied: a woken task may poll at once, on this thread, and join the same list.
        let wakers: Vec<Waker> = lock(&self.0).wakers.values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(is_woken) = &mut lock(&self.0).is_woken {
            *is_woken = true;
            return;
        }
        self.wake_all();
    }
}
