//! Caches, pools and sources over time and with changing keys, and many concurrent logins.

use std::time::Duration;

use super::{Table, key, temporary_key};
use crate::{
    Result,
    connector::seen,
    environment::Observation,
    key::Key,
    login::{Login, Signer},
};

/// The number of concurrent logins: five less than PostgreSQL's default `max_connections`.
const AT_ONCE: usize = 95;

/// The cache over time and with changing keys.
pub(super) async fn over_time(table: &mut Table<'_>) -> Result<()> {
    let environment = table.environment;
    let jane = Login::by_token(environment, "jane");

    // The clock is right after the advance, so the second token is not from the future.
    let signer = Signer::behind(&key(), 890)?;
    let connector = jane.connector(&signer)?;
    let twice = async {
        let first = seen(connector.log_in().await);
        signer.clock.advance(Duration::from_secs(890));
        let second = seen(connector.log_in().await);
        let text = format!("{}, {}, {} signed", first.text, second.text, signer.tokens.stats().signed);
        Observation { text, details: [first.details, second.details].concat() }
    };
    let twice = environment.observe(twice).await?;
    table.row("token renewed at its end", "in as jane, in as jane, 2 signed; accepted 2 times", &twice);

    pools_and_sources(table).await?;

    let signer = Signer::new(&key())?;
    let connector = jane.connector(&signer)?;
    connector.log_in().await?;
    let rotated =
        Key { id: "AKIAROTATED".to_owned(), secret: "a-new-secret".to_owned(), session_token: None };
    environment.record(&[&rotated])?;
    signer.source.set(rotated);
    // Late enough after the last accepted login that a refusal does not count as throttling.
    signer.clock.advance(Duration::from_secs(120));
    let again = async {
        let seen = seen(connector.log_in().await);
        let text = format!("{}, {} retried", seen.text, signer.tokens.stats().retries);
        Observation { text, ..seen }
    };
    let again = environment.observe(again).await?;
    table.row("keys rotated, cached token stale", "in as jane, 1 retried; key, accepted", &again);
    environment.record(&[&key(), &temporary_key()])
}

/// Pools across a token's expiry, expiring sessions, and a source that is down for a while.
async fn pools_and_sources(table: &mut Table<'_>) -> Result<()> {
    let environment = table.environment;
    let jane = Login::by_token(environment, "jane");

    // By the server's clock the second token is valid, and the first one about to expire.
    let signer = Signer::behind(&key(), 850)?;
    let connector = jane.connector(&signer)?;
    let pooled = environment.observe(connector.pool_past(&signer)).await?;
    table.row("pool over a token's end", "4 pooled; accepted 4 times", &pooled);

    let signer = Signer::behind(&key(), 270)?;
    signer.source.expire(signer.clock.now() + Duration::from_secs(300));
    let connector = jane.connector(&signer)?;
    let capped = async {
        let first = seen(connector.log_in().await);
        signer.clock.advance(Duration::from_secs(270));
        signer.source.expire(signer.clock.now() + Duration::from_secs(3600));
        let second = seen(connector.log_in().await);
        let text = format!("{}, {}, {} signed", first.text, second.text, signer.tokens.stats().signed);
        Observation { text, details: [first.details, second.details].concat() }
    };
    let capped = environment.observe(capped).await?;
    table.row("session that ends in 5 min", "in as jane, in as jane, 2 signed; accepted 2 times", &capped);

    let signer = Signer::new(&key())?;
    let connector = jane.connector(&signer)?;
    signer.source.fail(true);
    let recovered = async {
        let first = seen(connector.log_in().await);
        signer.source.fail(false);
        let second = seen(connector.log_in().await);
        let details = if first.text.starts_with("in as") { first.details } else { second.details };
        Observation { text: format!("{}, {}", first.text, second.text), details }
    };
    let recovered = environment.observe(recovered).await?;
    table.row("source down, then up", "Credentials(Failed), in as jane; accepted", &recovered);
    Ok(())
}

/// Logs in concurrently, with one signer for all.
pub(super) async fn at_once(table: &mut Table<'_>) -> Result<()> {
    let environment = table.environment;
    let signer = Signer::new(&key())?;
    let connector = Login::by_token(environment, "jane").connector(&signer)?;
    let together = async {
        let seen = connector.log_in_at_once(AT_ONCE).await;
        let (calls, signed) = (signer.source.calls(), signer.tokens.stats().signed);
        Observation { text: format!("{}, {calls} call, {signed} signed", seen.text), ..seen }
    };
    let together = environment.observe(together).await?;
    let expected = format!("{AT_ONCE} in, 1 call, 1 signed; accepted {AT_ONCE} times");
    table.row(&format!("{AT_ONCE} connections open at once"), &expected, &together);
    Ok(())
}
