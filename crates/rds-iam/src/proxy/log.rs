//! What a proxy does, to standard error.

use std::{env, io};

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Our crates. Of others nothing is told: the SDK's signer tells session tokens, if only at TRACE.
const OURS: [&str; 6] =
    ["iam_token_provider", "rds_iam", "wrapper_adapter", "wrapper_core", "wrapper_iam", "wrapper_proxy"];

/// What a refusal is told by in programs without a proxy; ours tells of it too, with more.
const TOLD_BY_US: &str = "wrapper_core::report";

/// Tells of failures and warnings, and of every client if that is asked for.
pub(super) fn start(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let shown = Targets::new().with_targets(OURS.map(|name| (name, level)));
    let shown = if verbose { shown } else { shown.with_target(TOLD_BY_US, LevelFilter::OFF) };
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    // The journal has the time of each line.
    match env::var_os("JOURNAL_STREAM") {
        Some(_) => tracing_subscriber::registry().with(lines.without_time().with_filter(shown)).init(),
        None => tracing_subscriber::registry().with(lines.with_filter(shown)).init(),
    }
}
