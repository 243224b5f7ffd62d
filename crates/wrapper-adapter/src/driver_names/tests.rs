//! Parameters that a driver or another tool knows, and the hints for them.

use std::sync::Arc;

use super::*;
use wrapper_core::{BuildContext, Factory, Parameter, ParameterKind, Plugin};

struct Auth;

impl Factory<()> for Auth {
    fn code(&self) -> &str {
        "auth"
    }

    fn parameters(&self) -> &[Parameter] {
        const AUTH: &[Parameter] =
            &[Parameter::new("authHost", ParameterKind::Text, "", "").aliases(&["loginDomain"])];
        AUTH
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Plugin<()>>> {
        unreachable!("nothing is built")
    }
}

fn registry() -> Registry<()> {
    Registry::new().with(Auth)
}

#[test]
fn unknown_parameter_names_the_nearest_and_no_value() {
    let driver = DriverNames {
        names: &["password", "user"],
        known_elsewhere: &[("kennwort", "password")],
        engine: None,
    };
    let message = |name| driver.unknown(&registry(), name).to_string();

    assert_eq!(message("passwrod"), "unknown parameter `passwrod`: did you mean `password`?");
    assert_eq!(message("auth_host"), "unknown parameter `auth_host`: did you mean `authHost`?");
    assert_eq!(message("loginDomain"), "unknown parameter `loginDomain`: did you mean `authHost`?");
    assert_eq!(message("colour"), "unknown parameter `colour`");
    assert_eq!(message("Kennwort"), "unknown parameter `Kennwort`: did you mean `password`?");
    assert_eq!(message("user_name"), "unknown parameter `user_name`: did you mean `user`?");
    assert_eq!(message("useSSL"), "unknown parameter `useSSL`: did you mean `sslmode=verify-full`?");
    assert!(message("jane:hunter2@h").starts_with("unknown parameter, whose name is not shown"));
}

#[test]
fn name_in_doubt_is_shown_only_if_it_is_near() {
    let driver = DriverNames { names: &["password", "user"], known_elsewhere: &[], engine: None };
    let message = |name| driver.unknown_in_doubt(&registry(), name).to_string();

    assert_eq!(message("usr"), "unknown parameter `usr`: did you mean `user`?");
    assert!(!message("hunter2").contains("hunter2"));
}

#[test]
fn name_in_code_that_is_the_drivers_is_told_where_it_stands() {
    let error = |name: &str| given_in_code(&registry(), [(name.to_owned(), Value::from("x"))]).err();

    assert!(error("authHost").is_none());
    let text = error("keepalives_idle").expect("unknown").to_string();
    assert!(text.contains("stand in the connection string or the map"), "{text}");
    let text = error("auth_host").expect("unknown").to_string();
    assert_eq!(text, "unknown parameter `auth_host`: did you mean `authHost`?");
}

/// Every parameter of the NodeJS wrapper 2.x that is not read here.
const OF_NODEJS: &[&str] = &[
    "appId",
    "bgBaselineMs",
    "bgConnectTimeoutMs",
    "bgHighMs",
    "bgIncreasedMs",
    "bgSuspendNewBlueConnections",
    "bgSwitchoverTimeoutMs",
    "bgdId",
    "blue_green_monitoring_connectTimeout",
    "clusterId",
    "clusterTopologyHighRefreshRateMs",
    "clusterTopologyRefreshRateMs",
    "connectionProvider",
    "customAwsCredentialProviderHandler",
    "customDatabaseDialect",
    "customEndpointInfoRefreshRateMs",
    "customEndpointMonitorExpirationMs",
    "customEndpointRegion",
    "defaultHostAvailabilityStrategy",
    "dialect",
    "enableClusterAwareFailover",
    "enableGreenHostReplacement",
    "enableTelemetry",
    "failoverClusterTopologyRefreshRateMs",
    "failoverMode",
    "failoverReaderConnectTimeoutMs",
    "failoverReaderHostSelectorStrategy",
    "failoverTimeoutMs",
    "failoverWriterReconnectIntervalMs",
    "failureDetectionCount",
    "failureDetectionEnabled",
    "failureDetectionInterval",
    "failureDetectionTime",
    "hostAvailabilityStrategyInitialBackoffTimeSec",
    "hostAvailabilityStrategyMaxRetries",
    "httpsAgentOptions",
    "iamIdpArn",
    "iamRoleArn",
    "idpEndpoint",
    "idpPassword",
    "idpPort",
    "idpUsername",
    "limitlessConnectMaxRetries",
    "limitlessGetTransactionRouterInfoMaxRetries",
    "limitlessGetTransactionRouterInfoRetryIntervalMs",
    "limitlessTransactionRouterMonitorDisposalTimeMs",
    "limitlessTransactionRouterMonitorIntervalMs",
    "limitlessWaitForTransactionRouterInfo",
    "monitorDisposalTime",
    "monitoring_connectTimeout",
    "mysqlQueryTimeout",
    "openConnectionRetryIntervalMs",
    "openConnectionRetryTimeoutMs",
    "profileName",
    "readerHostSelectorStrategy",
    "resetSessionStateOnClose",
    "responseMeasurementIntervalMs",
    "rollbackOnSwitch",
    "roundRobinDefaultWeight",
    "roundRobinHostWeightPairs",
    "rpIdentifier",
    "singleWriterConnectionString",
    "telemetryFailoverAdditionalTopTrace",
    "telemetryMetricsBackend",
    "telemetrySubmitToplevel",
    "telemetryTracesBackend",
    "topology_monitoring_connectTimeout",
    "transferSessionStateOnSwitch",
    "waitForCustomEndpointInfo",
    "waitForCustomEndpointInfoTimeoutMs",
    "wrapperDriverDialect",
    "wrapperKeepAliveProperties",
    "wrapperQueryTimeout",
];

#[test]
fn parameters_of_the_nodejs_wrapper_say_why_they_are_of_no_use() {
    let driver = DriverNames { names: &["host", "port", "user"], ..DriverNames::NONE };
    for name in OF_NODEJS {
        let from_string = driver.unknown(&registry(), name).to_string();
        let entry = ((*name).to_owned(), Value::from("hunter2"));
        let from_map = driver.check_elsewhere(&registry(), &[entry]).expect_err(name).to_string();
        assert_eq!(from_string, from_map);
        let says = from_map.contains("is of no use here, leave it out: ")
            || from_map.contains("which is known, not available yet: leave it out");
        assert!(says && from_map.starts_with(&format!("`{name}` ")), "{from_map}");
        assert_eq!(unknown_in_code(&registry(), name).to_string(), from_map);
        assert!(!driver.unknown_in_doubt(&registry(), name).to_string().contains(name), "{name}");
        let absent = ((*name).to_owned(), Value::Null);
        assert!(driver.check_elsewhere(&registry(), &[absent]).is_ok(), "null is no entry");
    }
}

#[test]
fn parameter_that_the_driver_has_is_left_to_it() {
    let driver = DriverNames { names: &["charset"], known_elsewhere: &[], engine: Some(Engine::Mysql) };
    let entries = ["charset", "pool"].map(|name| (name.to_owned(), Value::from("x")));
    assert!(driver.check_elsewhere(&registry(), &entries[..1]).is_ok());
    assert!(driver.check_elsewhere(&registry(), &entries).expect_err("pool").to_string().contains("`pool`"));
}

#[test]
fn common_names_of_other_drivers_lead_to_what_is_written_here() {
    let message = |engine, name| {
        let names = &["connect_timeout", "enable_cleartext_plugin", "options"];
        let driver = DriverNames { names, known_elsewhere: &[], engine: Some(engine) };
        driver.unknown(&registry(), name).to_string()
    };
    let check = |engine, name, says: &str| {
        let text = message(engine, name);
        assert!(text.contains(says) && !text.contains("enable_cleartext_plugin"), "{text}");
    };
    check(Engine::Postgres, "connectTimeout", "did you mean `wrapperConnectTimeout`?");
    check(Engine::Mysql, "connectTimeout", "did you mean `wrapperConnectTimeout`?");
    check(Engine::Postgres, "statement_timeout", "did you mean `options=-cstatement_timeout=…`?");
    check(Engine::Postgres, "statementTimeout", "did you mean `options=-cstatement_timeout=…`?");
    check(Engine::Postgres, "TimeZone", "did you mean `options=-ctimezone=…`?");
    check(Engine::Mysql, "statement_timeout", "run it as a statement");
    check(Engine::Mysql, "charset", "utf8mb4");
    check(Engine::Postgres, "client_encoding", "UTF-8");
    check(Engine::Mysql, "allowCleartextPasswords", "a token needs no switch");
    check(Engine::Mysql, "useSSL", "`sslmode=verify-full`");
    check(Engine::Postgres, "connection_limit", "where the pool is built");
}
