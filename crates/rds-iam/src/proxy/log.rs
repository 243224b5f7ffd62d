//! The log, on standard error.

use std::{env, io};

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The crates that are logged. Others are not: the SDK's signer logs session tokens at TRACE.
const OURS: [&str; 6] =
    ["iam_token_provider", "rds_iam", "wrapper_adapter", "wrapper_core", "wrapper_iam", "wrapper_proxy"];

/// The core's own report of a refused login, which the proxy replaces by one with every cause.
const TOLD_BY_US: &str = "wrapper_core::report";

/// Starts to log warnings, and with `verbose` every client.
pub(super) fn start(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let shown = Targets::new().with_targets(OURS.map(|name| (name, level)));
    let shown = if verbose { shown } else { shown.with_target(TOLD_BY_US, LevelFilter::OFF) };
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    // The journal adds the time to each line.
    match env::var_os("JOURNAL_STREAM") {
        Some(_) => tracing_subscriber::registry().with(lines.without_time().with_filter(shown)).init(),
        None => tracing_subscriber::registry().with(lines.with_filter(shown)).init(),
    }
}
