//! The map of values that are made in place.

mod bounds;
mod clearing;
mod contention;
mod invalidation;
mod making;
mod model;
