//! Making room.

use std::{
    hash::Hash,
    sync::{PoisonError, atomic::Ordering},
    time::SystemTime,
};

use super::Inner;
use crate::slot::Slot;

impl<K: Eq + Hash, V, E> Inner<K, V, E> {
    /// Removes the expired entries, and then those that expire first until a tenth of the capacity is free.
    ///
    /// Slots that somebody uses stay: a call that waits there, or a handle that skips the map, must go on seeing what
    /// everybody sees.
    pub(super) fn make_room(&self) {
        let now = self.context.now();
        // Declared before the lock is taken, so that values, whose `Drop` may look into the cache, are dropped after
        // its release.
        let mut retired = Vec::new();
        // Whoever finds the cache full waits here: going on meanwhile, it would fill the cache further.
        let _evicting = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_full() {
            return;
        }
        let capacity = self.context.limits.capacity;
        let tenth = (capacity / 10).max(1);

        let (mut ends, mut in_use) = (Vec::new(), 0);
        self.slots.retain(|_, slot| {
            if slot.is_in_use() {
                in_use += 1;
                return true;
            }
            let end = slot.lives_until().filter(|end| *end > now);
            ends.extend(end);
            end.is_some() || retire(slot, &mut retired)
        });
        // The newcomer counts, so that a cache full of living entries loses exactly a tenth.
        let surplus = (self.slots.len() + tenth).saturating_sub(capacity + 1).min(ends.len());
        if surplus > 0 {
            let (_, last, _) = ends.select_nth_unstable(surplus - 1);
            let (last, mut left): (SystemTime, usize) = (*last, surplus);
            self.slots.retain(|_, slot| {
                let goes = left > 0 && !slot.is_in_use() && slot.lives_until().is_none_or(|end| end <= last);
                left -= usize::from(goes);
                !goes || retire(slot, &mut retired)
            });
        }
        let evicted = retired.iter().filter(|slot| slot.holds_value()).count();
        self.context.counters.evicted.add(evicted as u64);
        // Where slots in use leave no room, the next pass waits for another tenth instead of running at every insert.
        self.full_above.store(capacity.max(in_use + tenth - 1), Ordering::Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.len() > self.full_above.load(Ordering::Relaxed)
    }
}

/// Puts a slot aside and says that the map is not to keep it.
fn retire<V, E>(slot: &Slot<V, E>, retired: &mut Vec<Slot<V, E>>) -> bool {
    retired.push(slot.clone());
    false
}
