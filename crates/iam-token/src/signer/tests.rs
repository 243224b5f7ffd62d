//! The signer's derived keys: kept for their day, and bounded in number.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn signer() -> Signer {
    Signer::new(Credentials::new("AKIAEXAMPLE", "secret", None, None, "tests"))
}

fn second(seconds: u64) -> SigningTime {
    SigningTime::new(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap()
}

#[test]
fn key_is_kept_for_the_day() {
    let signer = signer();
    let morning = signer.key(&second(0), "us-east-2", "rds-db");
    assert_eq!(*signer.key(&second(86_399), "us-east-2", "rds-db"), *morning);
    assert_eq!(signer.keys().len(), 1);
}

#[test]
fn key_rolls_over_at_midnight() {
    let signer = signer();
    let before = signer.key(&second(86_399), "us-east-2", "rds-db");
    let after = signer.key(&second(86_400), "us-east-2", "rds-db");
    assert_ne!(*before, *after);
    assert_eq!(*signer.key(&second(86_399), "us-east-2", "rds-db"), *before);
    assert_eq!(signer.keys().len(), 2);
}

#[test]
fn key_differs_by_region_and_service() {
    let signer = signer();
    let key = signer.key(&second(0), "us-east-2", "rds-db");
    assert_ne!(*key, *signer.key(&second(0), "us-east-1", "rds-db"));
    assert_ne!(*key, *signer.key(&second(0), "us-east-2", "dsql"));
}

#[test]
fn kept_key_equals_a_derived_one() {
    let signer = signer();
    let time = second(1_736_944_496);
    signer.key(&time, "us-east-2", "rds-db");
    assert_eq!(*signer.key(&time, "us-east-2", "rds-db"), *signer.derive(&time, "us-east-2", "rds-db"));
}

#[test]
fn kept_keys_are_bounded_and_the_oldest_goes_first() {
    let signer = signer();
    for day in 0..100 {
        signer.key(&second(day * 86_400), "us-east-2", "rds-db");
    }
    let keys = signer.keys();
    assert_eq!(keys.len(), KEPT_KEYS);
    assert_eq!(keys.capacity(), KEPT_KEYS);
    assert_eq!(keys.front().map(|kept| kept.day), Some(100 - KEPT_KEYS as u64));
}

#[test]
fn keys_survive_a_poisoned_lock() {
    let signer = signer();
    let poisoned = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = signer.keys.lock();
                panic!("poison the lock");
            })
            .join()
    });
    assert!(poisoned.is_err());
    signer.key(&second(0), "us-east-2", "rds-db");
}

#[test]
fn earlier_of_two_ends_is_the_one_there_is() {
    let [one, two] = [1, 2].map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    for (ends, first) in [
        ((None, None), None),
        ((None, Some(two)), Some(two)),
        ((Some(two), None), Some(two)),
        ((Some(one), Some(two)), Some(one)),
        ((Some(two), Some(one)), Some(one)),
    ] {
        assert_eq!(earlier(ends.0, ends.1), first, "{ends:?}");
    }
}
