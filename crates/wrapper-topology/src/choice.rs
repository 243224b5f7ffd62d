//! The choice of a reader.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The strategy to choose a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Strategy {
    /// A random one.
    #[default]
    Random,
    /// Each in turn.
    RoundRobin,
}

impl Strategy {
    /// Strategies that only other members of the wrapper family have so far.
    pub(crate) const KNOWN_ELSEWHERE: &[&str] = &[
        "fastestResponse",
        "highestWeight",
        "leastConnections",
        "lowestLoad",
        "lowestLoadByCpu",
        "lowestLoadByLag",
        "weightedRandom",
    ];

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text {
            "random" => Some(Self::Random),
            "roundRobin" => Some(Self::RoundRobin),
            _ => None,
        }
    }

    /// Returns the index of the first reader to try; `count` is at least one.
    pub(crate) fn first(self, turns: &AtomicUsize, count: usize) -> usize {
        match self {
            Self::Random => random() as usize % count.max(1),
            Self::RoundRobin => turns.fetch_add(1, Ordering::Relaxed) % count.max(1),
        }
    }
}

/// Returns a random number, not for cryptographic use.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has another key, so the hash of a constant is a new number.
    RandomState::new().hash_one(0)
}

/// Returns a random number from 0 to 1.
pub(crate) fn jitter() -> f64 {
    // 53 bits, the precision of an `f64`: the result stays below 1.
    (random() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_chosen_by_strategy() {
        let turns = AtomicUsize::new(0);
        let in_turn: Vec<_> = (0..4).map(|_| Strategy::RoundRobin.first(&turns, 3)).collect();
        assert_eq!(in_turn, [0, 1, 2, 0]);

        let at_random: Vec<_> = (0..200).map(|_| Strategy::Random.first(&turns, 3)).collect();
        assert!((0..3).all(|reader| at_random.contains(&reader)), "{at_random:?}");
        assert!((0.0..1.0).contains(&jitter()));
    }
}
