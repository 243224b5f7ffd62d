use crate::support::*;

#[test]
fn cleared_cache_is_empty() {
    let clock = clock();
    let cache = cache(&clock);
    fill(&cache, &clock, 1, 900);
    let slot = cache.slot(KEY);
    cache.clear();
    assert!(cache.is_empty());
    assert!(cache.get(KEY, ANY_AGE).is_none() && slot.get(ANY_AGE).is_none());
}

#[test]
fn fetch_begun_before_is_not_stored() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    let mut before = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut before).is_pending());
    cache.clear();
    let mut after = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut after).is_pending());
    assert_eq!(source.asked(), 2);
    source.succeed(0, living(&clock, 1, 900));
    let old = finish(before).unwrap().0;
    assert_eq!(*old.value(), 1);
    assert!(cache.is_empty() && !old.reject());
    source.succeed(1, living(&clock, 2, 900));
    assert_eq!(*finish(after).unwrap().0.value(), 2);
    assert_eq!(*cache.get(KEY, ANY_AGE).unwrap().value(), 2);
}

#[test]
fn renewal_begun_before_is_not_stored() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    clock.advance(secs(800));
    let renewal = finish(cache.get_or_fetch(KEY, source.fetch())).unwrap().1.unwrap();
    cache.clear();
    source.succeed(0, living(&clock, 2, 1000));
    assert_eq!(*finish(renewal.run()).unwrap().value(), 2);
    assert!(cache.is_empty());
}

#[test]
fn value_being_made_is_not_stored() {
    let clock = clock();
    let cache = cache(&clock);
    let lease = cache.get_or_insert_with(KEY, ANY_AGE, || {
        cache.clear();
        Ok::<_, ()>(living(&clock, 1, 900))
    });
    assert_eq!(*lease.unwrap().value(), 1);
    assert!(cache.is_empty());
}

#[test]
fn living_value_does_not_survive_a_failed_reload() {
    let clock = clock();
    let (cache, source) = (cache(&clock), Source::default());
    fill(&cache, &clock, 1, 1000);
    clock.advance(secs(950));
    let mut waiter = Box::pin(cache.get_or_fetch(KEY, source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    cache.clear();
    source.fail(0);
    assert!(finish(waiter).is_err());
}

#[test]
fn held_slot_and_cache_go_on_seeing_the_same() {
    let clock = clock();
    let cache = cache(&clock);
    let slot = cache.slot(KEY);
    cache.clear();
    slot.get_or_insert_with(ANY_AGE, || Ok::<_, ()>(living(&clock, 1, 900))).unwrap();
    assert_eq!(*cache.get(KEY, ANY_AGE).unwrap().value(), 1);
    assert!(cache.get(KEY, ANY_AGE).unwrap().reject());
    assert!(slot.get(ANY_AGE).is_none());
}
