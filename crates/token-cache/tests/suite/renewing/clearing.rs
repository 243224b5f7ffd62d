//! A cell that is cleared while it fetches.

use crate::support::*;

#[test]
fn fetch_begun_before_is_not_stored() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    let mut before = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut before).is_pending());
    cell.clear();
    let mut after = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut after).is_pending());
    assert_eq!(source.asked(), 2);
    source.succeed(0, unexpired(&clock, 1, 900));
    assert_eq!(*finish(before).unwrap().0.value(), 1);
    assert!(held(&cell).is_none());
    source.succeed(1, unexpired(&clock, 2, 900));
    assert_eq!(*finish(after).unwrap().0.value(), 2);
    assert_eq!(*held(&cell).unwrap().value(), 2);
}

#[test]
fn renewal_begun_before_is_not_stored() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    clock.advance(secs(800));
    let renewal = finish(cell.get(source.fetch())).unwrap().1.unwrap();
    cell.clear();
    source.succeed(0, unexpired(&clock, 2, 1000));
    assert_eq!(*finish(renewal.run()).unwrap().value(), 2);
    assert!(held(&cell).is_none());
}

#[test]
fn unexpired_value_does_not_survive_a_failed_reload() {
    let clock = clock();
    let (cell, source) = (cell(&clock), Source::default());
    fill(&cell, &clock, 1, 1000);
    clock.advance(secs(950));
    let mut waiter = Box::pin(cell.get(source.fetch()));
    assert!(poll_once(&mut waiter).is_pending());
    cell.clear();
    source.fail(0);
    assert!(finish(waiter).is_err());
}
