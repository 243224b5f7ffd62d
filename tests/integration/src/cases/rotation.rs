//! Sources of credentials that change, end and fail while a process uses them, each up to logins at
//! PostgreSQL.
//!
//! The environment is not among them: that of a running process cannot be changed.

use super::Table;
use crate::{
    Result,
    environment::{Environment, Observation},
    report::Report,
    sources::{Given, Source, Sources},
    subprocess::Subprocess,
};

/// Longer than an accepted login makes a refusal count as throttling, and shorter than a token's
/// lifetime.
const LATER: u64 = 120;

/// When the session of [`ENDING`] has expired by the clock of the process, which is 270 s behind.
const AFTER_ITS_END: u64 = 330;

/// The first key, of a session that ends before its token would.
const ENDING: Given = Given { ends_in: 30, ..Given::FIRST };

/// Runs the cases.
pub(crate) async fn run(environment: &Environment, sources: &Sources, report: &mut Report) -> Result<()> {
    let mut table = Table { environment, report };
    for source in sources.all() {
        rotated(&mut table, sources, &source).await?;
        // A credentials file has no expiry.
        if source.has_end {
            ended(&mut table, sources, &source).await?;
            recovered(&mut table, sources, &source).await?;
        }
    }
    Ok(())
}

/// Rotates the key while the cached token of the first one seems valid: the refusal shows it.
async fn rotated(table: &mut Table<'_>, sources: &Sources, source: &Source) -> Result<()> {
    let environment = table.environment;
    let seen = environment
        .observe_fallible(async {
            let mut alone = start(environment, sources, source, Given::FIRST)?;
            let first = alone.log_in_after(0).await?;
            change(environment, sources, source, Given::SECOND)?;
            let second = alone.log_in_after(LATER).await?;
            let retried = format!("{} retried", second.retries);
            Ok(together([first.seen, second.seen], &[retried]))
        })
        .await?;
    let expected = "in, in, 1 retried; accepted, key, accepted";
    table.row(&format!("{}, key rotated", source.name), expected, &seen);
    Ok(())
}

/// Rotates the key after the session of the first one expired, and its token with it: no login is
/// refused.
async fn ended(table: &mut Table<'_>, sources: &Sources, source: &Source) -> Result<()> {
    let environment = table.environment;
    let seen = environment
        .observe_fallible(async {
            let mut alone = start(environment, sources, source, ENDING)?;
            let first = alone.log_in_after(0).await?;
            change(environment, sources, source, Given::SECOND)?;
            let second = alone.log_in_after(AFTER_ITS_END).await?;
            let counted = [format!("{} signed", second.signed), format!("{} retried", second.retries)];
            Ok(together([first.seen, second.seen], &counted))
        })
        .await?;
    let expected = "in, in, 2 signed, 0 retried; accepted 2 times";
    table.row(&format!("{}, session over", source.name), expected, &seen);
    Ok(())
}

/// Fails when the session has expired, and then provides another key.
async fn recovered(table: &mut Table<'_>, sources: &Sources, source: &Source) -> Result<()> {
    let environment = table.environment;
    let seen = environment
        .observe_fallible(async {
            let mut alone = start(environment, sources, source, ENDING)?;
            let first = alone.log_in_after(0).await?;
            sources.give(Given { is_down: true, ..ENDING })?;
            let second = alone.log_in_after(AFTER_ITS_END).await?;
            change(environment, sources, source, Given::SECOND)?;
            let third = alone.log_in_after(0).await?;
            Ok(together([first.seen, second.seen, third.seen], &[]))
        })
        .await?;
    // The SDK returns the last instance credentials while the metadata service is down.
    let failure = if source.name == "imds" { "Expired" } else { "Failed" };
    let expected = format!("in, Credentials({failure}), in; accepted 2 times");
    table.row(&format!("{}, down, then up", source.name), &expected, &seen);
    Ok(())
}

fn start(environment: &Environment, sources: &Sources, source: &Source, given: Given) -> Result<Subprocess> {
    change(environment, sources, source, given)?;
    Subprocess::start(environment, &sources.environment(&source.variables))
}

/// Changes the key at its source and at the server, which then knows only that.
fn change(environment: &Environment, sources: &Sources, source: &Source, given: Given) -> Result<()> {
    sources.give(given)?;
    environment.record(&[&source.key(given.turn)])
}

fn together<const N: usize>(logins: [Observation; N], more: &[String]) -> Observation {
    let texts = logins.iter().map(|seen| if seen.text == "in as jane" { "in" } else { &seen.text });
    let text = texts.chain(more.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
    let details = logins.into_iter().flat_map(|seen| seen.details);
    Observation { text, details: details.filter(|line| !line.is_empty()).collect() }
}
