//! Values of a cache that were refused or accepted.

use crate::support::*;

#[test]
fn first_refusal_drops_and_the_others_change_nothing() {
    let clock = clock();
    let cache = cache(&clock);
    let make = |value| {
        cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, value, 900))).unwrap()
    };
    let leases: Vec<_> = (0..100).map(|_| make(1)).collect();
    assert_eq!(leases.iter().filter(|lease| cache.invalidate(KEY, lease)).count(), 1);
    assert!(cache.is_empty());
    assert_eq!(*make(2).value(), 2);
    assert!(!cache.invalidate(KEY, &leases[0]));
    assert_eq!(*make(3).value(), 2);
    assert_eq!(cache.stats().invalidated, 1);
}

#[test]
fn equal_values_are_two_generations() {
    let clock = clock();
    let cache = cache(&clock);
    let make = || cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, 1, 900))).unwrap();
    let first = make();
    assert!(cache.invalidate(KEY, &first));
    let second = make();
    assert_ne!(first.generation(), second.generation());
    assert!(!cache.invalidate(KEY, &first) && cache.invalidate(KEY, &second));
}

#[test]
fn acceptance_is_shared_by_the_leases_of_a_generation() {
    let clock = clock();
    let cache = cache(&clock);
    let make = || cache.get_or_insert_with(KEY, ANY_AGE, || Ok::<_, ()>(unexpired(&clock, 1, 900))).unwrap();
    let (one, two) = (make(), make());
    assert_eq!(two.last_accepted(), None);
    one.accepted(clock.now());
    assert_eq!(two.last_accepted(), Some(clock.now()));
    cache.invalidate(KEY, &one);
    assert_eq!(make().last_accepted(), None);
}
