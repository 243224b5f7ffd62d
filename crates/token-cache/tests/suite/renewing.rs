//! The cell of one value that is fetched.

mod ahead;
mod cancellation;
mod clearing;
mod contention;
mod fetching;
mod locks;
mod model;
mod panics;
mod refetching;
mod runtimes;
