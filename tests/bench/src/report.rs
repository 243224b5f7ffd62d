//! The table.

use std::{fmt::Debug, ops::RangeBounds};

use crate::{foreign::Outcome, misses::Crowd, timing::Figure};

/// Prints the ways to a token, as multiples of ours with all kept.
pub(crate) fn tokens(
    without: &[Figure; 5],
    with: &[Figure; 5],
    foreign: impl IntoIterator<Item = (&'static str, Outcome)>,
) {
    let ([ours, built, .., sdk], [ours_with, built_with, .., sdk_with]) = (without, with);
    println!("{:<48}{:>12}{:>8}{:>14}{:>8}", "one RDS token", "no session", "", "950 chars", "");
    let row = |name: &str, one: f64, other: f64| {
        let (first, second) = (one / ours.nanos, other / ours_with.nanos);
        println!("  {name:<46}{one:>9.0} ns{first:>7.1}x{other:>11.0} ns{second:>7.1}x");
    };
    for (one, other) in without.iter().zip(with) {
        row(one.name, one.nanos, other.nanos);
    }
    for (name, outcome) in foreign {
        match outcome {
            Ok([one, other]) => row(name, one, other),
            Err(why) => println!("  {name:<46}skipped: {why}"),
        }
    }
    target("aws-sdk-rds, times all kept, no session", sdk.nanos / ours.nanos, 8.5..);
    target("aws-sdk-rds, times all kept, 950 chars", sdk_with.nanos / ours_with.nanos, 7.0..);
    target("the same, times a new recipe, no session", sdk.nanos / built.nanos, 2.5..);
    target("the same, times a new recipe, 950 chars", sdk_with.nanos / built_with.nanos, 2.5..);
}

/// Prints a hit as a multiple of a bare look-up.
pub(crate) fn cache([bare, folded, hit]: &[Figure; 3]) {
    println!("\na cache hit, 64 keys, the clock stands");
    for figure in [bare, folded, hit] {
        println!("  {:<46}{:>9.1} ns{:>7.2}x", figure.name, figure.nanos, figure.nanos / bare.nanos);
    }
    target("a hit beside dashmap as it comes", hit.nanos / bare.nanos, ..=1.0);
    target("a hit beside dashmap, the same hasher", hit.nanos / folded.nanos, ..=1.4);
}

/// Prints what reading each name takes.
pub(crate) fn hosts(figures: &[Figure]) {
    println!("\nreading a host name");
    for figure in figures {
        println!("  {:<46}{:>9.0} ns", figure.name, figure.nanos);
    }
    let slowest = figures.iter().map(|figure| figure.nanos).fold(0.0, f64::max);
    target("the slowest in microseconds", slowest / 1_000.0, ..=0.7);
}

/// Prints what the crowds cost.
pub(crate) fn misses(crowds: &[Crowd]) {
    println!("\na value that is missing, its fetch takes 50 ms and fails");
    for Crowd { name, fetches, took, told } in crowds {
        let millis = took.as_secs_f64() * 1_000.0;
        println!("  {name:<48}fetches: {fetches}, told: {told}, {millis:.1} ms");
        target("fetches for all of them", *fetches as f64, ..=1.0);
    }
}

pub(crate) fn target(what: &str, ratio: f64, wanted: impl RangeBounds<f64> + Debug) {
    let verdict = if wanted.contains(&ratio) { "met" } else { "missed" };
    println!("  target: {what:<42}{ratio:>7.2}, {wanted:?}: {verdict}");
}
