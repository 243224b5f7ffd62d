//! The parameters of both plugins, by the names of the wrapper family.

use std::time::Duration;

use wrapper_core::{
    Error, ErrorKind, Options, Parameter, ParameterKind, ParameterValue, Result, Role, Value, text::shown,
};

use crate::{choice::Strategy, schedule::Rates};

/// The default interval between queries while all is well.
pub(crate) const REFRESH: Duration = Duration::from_secs(30);

/// The default interval between queries during a suspicion.
pub(crate) const HIGH: Duration = Duration::from_millis(100);

const DAY_MS: i64 = 86_400_000;

const VERIFY: Parameter<String> = Parameter::typed(
    "verifyOpenedConnectionType",
    ParameterKind::Text,
    "by the endpoint's kind",
    "The role that connects are routed to and verified for: `writer`, `reader`, or `none` to verify nothing.",
)
.aliases(&["verify_opened_connection_type", "endpointSubstitutionRole"]);

const STRATEGY: Parameter<Strategy> = Parameter::typed(
    "readerHostSelectorStrategy",
    ParameterKind::Text,
    "`random`",
    "How a reader is chosen: `random` or `roundRobin`.",
)
.aliases(&["reader_host_selector_strategy"]);

const RETRY_TIMEOUT: Parameter<u64> = Parameter::typed(
    "openConnectionRetryTimeoutMs",
    ParameterKind::Integer { min: 1, max: DAY_MS },
    "the connect's own deadline",
    "Milliseconds within which a connection to an instance of the wrong role is retried at another instance.",
)
.aliases(&["open_connection_retry_timeout_ms"]);

const RETRY_INTERVAL: Parameter<u64> = Parameter::typed(
    "openConnectionRetryIntervalMs",
    ParameterKind::Integer { min: 1, max: DAY_MS },
    "`100`",
    "Milliseconds between such attempts.",
)
.aliases(&["open_connection_retry_interval_ms"]);

const CLUSTER_ID: Parameter = Parameter::new(
    "clusterId",
    ParameterKind::Text,
    "none",
    "Accepted and without effect: connectors share a cluster's state by sharing a `Topology`.",
)
.aliases(&["cluster_id"]);

const MODE: Parameter<String> = Parameter::typed(
    "failoverMode",
    ParameterKind::Text,
    "`reader-or-writer` at a reader endpoint, else `strict-writer`",
    "Which instances connects may lead to: `strict-writer`, `strict-reader` or `reader-or-writer`.",
)
.aliases(&["failover_mode"]);

const FAILOVER_STRATEGY: Parameter<Strategy> = Parameter::typed(
    "failoverReaderHostSelectorStrategy",
    ParameterKind::Text,
    "`random`",
    "Used if `readerHostSelectorStrategy` is not given.",
)
.aliases(&["failover_reader_host_selector_strategy"]);

const REFRESH_RATE: Parameter<u64> = Parameter::typed(
    "clusterTopologyRefreshRateMs",
    ParameterKind::Integer { min: 0, max: DAY_MS },
    "`30000`",
    "Milliseconds between two queries of the monitor while all is well; `0` disables them.",
)
.aliases(&["cluster_topology_refresh_rate_ms", "topology_refresh_ms"]);

const HIGH_RATE: Parameter<u64> = Parameter::typed(
    "clusterTopologyHighRefreshRateMs",
    ParameterKind::Integer { min: 10, max: DAY_MS },
    "`100`",
    "Milliseconds between two queries to each instance during a suspicion.",
)
.aliases(&["cluster_topology_high_refresh_rate_ms"]);

/// Declares a parameter that is accepted without effect.
const fn accepted(name: &'static str, help: &'static str) -> Parameter {
    Parameter::new(name, ParameterKind::Text, "none", help)
}

const INSTEAD_OF_TIMEOUT: &str =
    "Accepted and without effect: a connect waits for a writer until its own `wrapperConnectTimeout`.";
const INSTEAD_OF_SWITCH: &str = "Accepted and without effect: every connect is routed to the right instance.";
const INSTEAD_OF_RATES: &str = "Accepted and without effect: `clusterTopologyRefreshRateMs` and \
                                `clusterTopologyHighRefreshRateMs` replace it.";

/// The parameters of the plugin `initialConnection`.
pub const INITIAL_CONNECTION_PARAMETERS: &[Parameter] =
    &[VERIFY.untyped(), STRATEGY.untyped(), RETRY_TIMEOUT.untyped(), RETRY_INTERVAL.untyped(), CLUSTER_ID];

/// The parameters of the plugin `failover2`.
pub const FAILOVER_PARAMETERS: &[Parameter] = &[
    VERIFY.untyped(),
    STRATEGY.untyped(),
    RETRY_TIMEOUT.untyped(),
    RETRY_INTERVAL.untyped(),
    CLUSTER_ID,
    MODE.untyped(),
    FAILOVER_STRATEGY.untyped(),
    REFRESH_RATE.untyped(),
    HIGH_RATE.untyped(),
    accepted("failoverTimeoutMs", INSTEAD_OF_TIMEOUT),
    accepted("enableConnectFailover", INSTEAD_OF_SWITCH),
    accepted("failoverClusterTopologyRefreshRateMs", INSTEAD_OF_RATES),
    accepted("failoverWriterReconnectIntervalMs", INSTEAD_OF_RATES),
    accepted("failoverReaderConnectTimeoutMs", INSTEAD_OF_TIMEOUT),
];

/// The role that connects are routed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedRole {
    /// Any instance that the host leads to.
    Any,
    Reader {
        /// Whether the writer may serve as a reader if there is none.
        or_writer: bool,
    },
    Writer,
}

impl RequestedRole {
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Any => None,
            Self::Reader { .. } => Some(Role::Reader),
            Self::Writer => Some(Role::Writer),
        }
    }
}

/// The parsed parameters.
#[derive(Clone, Debug)]
pub(crate) struct RouteOptions {
    /// Overrides the role of the endpoint's kind.
    pub(crate) wanted: Option<RequestedRole>,
    pub(crate) is_strict_reader: bool,
    pub(crate) verifies: bool,
    pub(crate) strategy: Strategy,
    pub(crate) retry_timeout: Option<Duration>,
    pub(crate) retry_interval: Duration,
    pub(crate) rates: Rates,
}

impl RouteOptions {
    /// Parses the given parameters and warns about those without effect.
    pub(crate) fn read(options: &Options) -> Result<Self> {
        let millis = |parameter| options.get(parameter).copied().map(Duration::from_millis);
        let (verified, verifies) = match options.get(&VERIFY).map(String::as_str) {
            None => (None, true),
            Some("writer") => (Some(RequestedRole::Writer), true),
            Some("reader") => (Some(RequestedRole::Reader { or_writer: true }), true),
            Some("none") => (None, false),
            Some(value) => {
                return Err(unfit(VERIFY.name(), value, "`writer`, `reader` or `none`"));
            }
        };
        let mode = match options.get(&MODE).map(String::as_str) {
            None => None,
            Some("strict-writer") => Some(RequestedRole::Writer),
            Some("strict-reader") => Some(RequestedRole::Reader { or_writer: false }),
            Some("reader-or-writer") => Some(RequestedRole::Reader { or_writer: true }),
            Some(value) => {
                let modes = "`strict-writer`, `strict-reader` or `reader-or-writer`";
                return Err(unfit(MODE.name(), value, modes));
            }
        };
        if let (Some(verified), Some(mode)) = (verified, mode)
            && verified.role() != mode.role()
        {
            return Err(configuration(
                "`verifyOpenedConnectionType` and `failoverMode` ask for different roles: leave one out",
            ));
        }
        let is_strict_reader = mode == Some(RequestedRole::Reader { or_writer: false });
        warn_of_parameters_without_effect(options);
        Ok(Self {
            wanted: mode.or(verified),
            is_strict_reader,
            verifies,
            strategy: *options
                .get(&STRATEGY)
                .or(options.get(&FAILOVER_STRATEGY))
                .unwrap_or(&Strategy::default()),
            retry_timeout: millis(&RETRY_TIMEOUT),
            retry_interval: millis(&RETRY_INTERVAL).unwrap_or(HIGH),
            rates: Rates {
                refresh: millis(&REFRESH_RATE).unwrap_or(REFRESH),
                high: millis(&HIGH_RATE).unwrap_or(HIGH),
            },
        })
    }
}

impl ParameterValue for Strategy {
    fn parse(name: &str, value: &Value) -> Result<Self> {
        let text = value.single(name)?;
        if let Some(known) = Self::KNOWN_ELSEWHERE.iter().find(|known| **known == text) {
            return Err(configuration(&format!(
                "`{name}`: strategy `{known}` is not available yet: use `random` or `roundRobin`"
            )));
        }
        Self::from_text(&text).ok_or_else(|| unfit(name, &text, "`random` or `roundRobin`"))
    }
}

fn warn_of_parameters_without_effect(options: &Options) {
    let without_effect = FAILOVER_PARAMETERS.iter().filter(|parameter| {
        parameter.help().starts_with("Accepted and without effect") && options.contains(parameter.name())
    });
    for parameter in without_effect {
        let (parameter, instead) = (parameter.name(), parameter.help());
        tracing::warn!(parameter, instead, "the parameter has no effect");
    }
}

fn unfit(name: &str, value: &str, words: &str) -> Error {
    configuration(&format!("`{name}` must be {words}, not {}", shown(value)))
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use wrapper_core::adapter::RawParameters;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RouteOptions> {
        let mut given = RawParameters::new();
        for (name, value) in pairs {
            given.configure(name, *value)?;
        }
        RouteOptions::read(&Options::read(&given, FAILOVER_PARAMETERS)?)
    }

    #[track_caller]
    fn refused(pairs: &[(&str, &str)], message: &str) {
        assert_eq!(read(pairs).expect_err("does not fit").to_string(), message);
    }

    #[test]
    fn parameters_that_are_not_given_have_their_defaults() {
        let options = read(&[]).expect("fits");

        assert_eq!((options.wanted, options.verifies, options.strategy), (None, true, Strategy::Random));
        assert_eq!((options.retry_timeout, options.retry_interval), (None, Duration::from_millis(100)));
        assert_eq!(options.rates, Rates { refresh: REFRESH, high: HIGH });
    }

    #[test]
    fn parameters_that_fit_are_read_ok() {
        let options = read(&[
            ("failoverMode", "strict-reader"),
            ("failoverReaderHostSelectorStrategy", "roundRobin"),
            ("clusterTopologyRefreshRateMs", "0"),
            ("openConnectionRetryTimeoutMs", "5000"),
            ("failoverTimeoutMs", "300000"),
            ("clusterId", "1"),
        ])
        .expect("fits");

        assert_eq!(options.wanted, Some(RequestedRole::Reader { or_writer: false }));
        assert_eq!(options.strategy, Strategy::RoundRobin);
        assert!(options.rates.refresh.is_zero());
        assert_eq!(options.retry_timeout, Some(Duration::from_secs(5)));
        assert!(!read(&[("verifyOpenedConnectionType", "none")]).expect("fits").verifies);
    }

    #[test]
    fn parameters_that_do_not_fit_are_named_wrong() {
        refused(
            &[("failoverMode", "writer")],
            "`failoverMode` must be `strict-writer`, `strict-reader` or `reader-or-writer`, not `writer`",
        );
        refused(
            &[("verifyOpenedConnectionType", "Writer")],
            "`verifyOpenedConnectionType` must be `writer`, `reader` or `none`, not `Writer`",
        );
        refused(
            &[("failoverMode", "jane:pw@host")],
            "`failoverMode` must be `strict-writer`, `strict-reader` or `reader-or-writer`, not the given \
             text of 12 characters",
        );
        refused(
            &[("readerHostSelectorStrategy", "leastConnections")],
            "`readerHostSelectorStrategy`: strategy `leastConnections` is not available yet: use \
             `random` or `roundRobin`",
        );
        refused(
            &[("readerHostSelectorStrategy", "best")],
            "`readerHostSelectorStrategy` must be `random` or `roundRobin`, not `best`",
        );
        refused(
            &[("verifyOpenedConnectionType", "reader"), ("failoverMode", "strict-writer")],
            "`verifyOpenedConnectionType` and `failoverMode` ask for different roles: leave one out",
        );
        refused(
            &[("clusterTopologyHighRefreshRateMs", "0")],
            "`clusterTopologyHighRefreshRateMs` must be a whole number from 10 to 86400000, not `0`",
        );
    }
}
