//! The table.

use std::time::Duration;

use crate::{Cell, Measured};

/// The header line.
pub const HEADER: &str = "\
pool                 fault             activity        first   all   wrong peak  what the application saw";

/// The goal: an application's writes succeed within this time after the cluster accepts writes.
const GOAL: Duration = Duration::from_secs(1);

/// Returns the line of one cell.
pub fn row(cell: Cell, measured: &Measured) -> String {
    let Cell { stack, fault, activity } = cell;
    let Measured { first, all, wrong, peak, beyond_pace, seen } = measured;
    let seen: Vec<_> = seen.iter().map(|(seen, times)| format!("{times} x {seen}")).collect();
    let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
    let pace = if *beyond_pace > 0 { format!(" ({beyond_pace} BEYOND THE PACE)") } else { String::new() };
    let late = if *first > GOAL { "!" } else { " " };
    format!(
        "{stack:<20} {fault:<17} {activity:<14} {:>5.2}{late} {:>5.2} {wrong:>6} {peak:>4}  {seen}{pace}",
        first.as_secs_f64(),
        all.as_secs_f64(),
    )
}
