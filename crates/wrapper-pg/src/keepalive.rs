//! How a dead server is noticed.

use std::time::Duration;

use tokio_postgres::Config;
use wrapper_adapter::{ConfigSource, split_key_value, split_url};

/// With the next two a dead server is found in 25 seconds, and a network that is away for 20 is
/// survived.
const IDLE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// More than this was most likely meant as milliseconds, which libpq reads.
const TOO_LONG: Duration = Duration::from_secs(600);

/// Returns the names of the options about keepalives that a configuration gives; the driver's own
/// type does not tell.
pub(crate) fn named_in<T>(source: &ConfigSource<T>) -> Vec<String> {
    match source {
        ConfigSource::Map(pairs) => pairs.iter().map(|(name, _)| name.clone()).collect(),
        ConfigSource::Text(text) => named_in_text(text),
        ConfigSource::Driver(_) => Vec::new(),
    }
}

fn named_in_text(text: &str) -> Vec<String> {
    let is_asked_for = |name: &str| name.starts_with("keepalives");
    // A malformed string is reported when it is parsed for the connector.
    let cut = match text.contains("://") {
        true => split_url(text, is_asked_for),
        false => split_key_value(text, is_asked_for),
    };
    cut.map(|cut| cut.pairs.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

/// Sets what neither a string says (`said`) nor differs from the driver's default, which would take
/// hours to notice.
///
/// `tcp_user_timeout` stays out of it: on current kernels it also ends the connection to a living
/// server that takes no more data for as long, as one does during a `COPY` behind a lock.
pub(crate) fn set_up(config: &mut Config, said: &[String]) {
    // The driver's value counts as unset only if no string says it: 7200 may be meant.
    let (is_said, driver) = (|name: &str| said.iter().any(|said| said == name), Config::new());
    if config.get_keepalives() {
        if !is_said("keepalives_idle") && config.get_keepalives_idle() == driver.get_keepalives_idle() {
            config.keepalives_idle(IDLE);
        }
        if !is_said("keepalives_interval") && config.get_keepalives_interval().is_none() {
            config.keepalives_interval(INTERVAL);
        }
        if !is_said("keepalives_retries") && config.get_keepalives_retries().is_none() {
            config.keepalives_retries(RETRIES);
        }
    }
    if let Some(timeout) = config.get_tcp_user_timeout().filter(|timeout| **timeout > TOO_LONG) {
        tracing::warn!(
            seconds = timeout.as_secs(),
            "`tcp_user_timeout` is longer than ten minutes: the driver reads seconds, and libpq milliseconds"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (bool, u64, Option<u64>, Option<u32>)) {
        let mut config: Config = text.parse().expect("the driver reads it");
        set_up(&mut config, &named_in_text(text));
        let interval = config.get_keepalives_interval().map(|interval| interval.as_secs());
        let idle = config.get_keepalives_idle().as_secs();
        let found = (config.get_keepalives(), idle, interval, config.get_keepalives_retries());
        assert_eq!(found, expected, "{text}");
        assert_eq!(config.get_tcp_user_timeout().is_some(), text.contains("tcp_user_timeout"));
    }

    #[test]
    fn dead_server_is_found_in_25_seconds_unless_the_string_says_otherwise() {
        check("postgres://u@h/db", (true, 10, Some(5), Some(3)));
        check("host=h user=u", (true, 10, Some(5), Some(3)));
        check("postgres://u@h/db?keepalives=1", (true, 10, Some(5), Some(3)));
        check("postgres://u@h/db?keepalives_idle=60", (true, 60, Some(5), Some(3)));
        check("host=h user=u keepalives_interval=1 keepalives_retries=9", (true, 10, Some(1), Some(9)));
        // The driver's own value, said out loud.
        check("host=h user=u keepalives_idle=7200", (true, 7200, Some(5), Some(3)));
        check("postgres://u@h/db?keepalives_idle=0&tcp_user_timeout=30", (true, 7200, Some(5), Some(3)));
        check("postgres://u@h/db?keepalives=0", (false, 7200, None, None));
    }

    #[test]
    fn given_configuration_counts_where_it_differs_from_the_drivers_default() {
        let mut config = Config::new();
        config.keepalives_idle(Duration::from_secs(1));

        set_up(&mut config, &[]);

        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(1));
        assert_eq!(config.get_keepalives_retries(), Some(RETRIES));
    }
}
