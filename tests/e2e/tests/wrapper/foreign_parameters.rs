//! Parameters of other members of the family that mean nothing here.

use rds_wrapper::{IamFactory, Registry, Value, adapter::DriverNames};

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

const DRIVER: DriverNames<'_> =
    DriverNames { names: &["host", "port", "user"], known_elsewhere: &[], engine: None };

#[test]
fn unsupported_nodejs_parameters_explain_why() {
    let registry = Registry::<()>::new().with(IamFactory::default());
    for name in OF_NODEJS {
        let from_string = DRIVER.unknown(&registry, name).to_string();
        let entry = ((*name).to_owned(), Value::from("hunter2"));
        let from_map = DRIVER.check_elsewhere(&registry, &[entry]).expect_err(name).to_string();
        assert_eq!(from_string, from_map);
        let says = from_map.contains("has no effect here, leave it out: ")
            || from_map.contains("which is known, not available yet: leave it out")
            || from_map.contains("not compiled in: enable the feature `topology` of rds-wrapper");
        assert!(says && from_map.starts_with(&format!("`{name}` ")), "{from_map}");
    }
}

#[test]
fn parameter_of_a_plugin_that_is_not_compiled_in_names_the_feature() {
    let message = |name| DRIVER.unknown(&Registry::<()>::new().with(IamFactory::default()), name).to_string();

    let says = "which is not compiled in: enable the feature `topology` of rds-wrapper";
    assert_eq!(
        message("failoverTimeoutMs"),
        format!("`failoverTimeoutMs` belongs to plugin `failover2`, {says}")
    );
    assert!(message("readerHostSelectorStrategy").ends_with(says));
    let here = DRIVER.unknown(&rds_wrapper::plugins::<()>(), "clusterTopologyOther").to_string();
    assert_eq!(here, "`clusterTopologyOther` has no effect here: leave it out");
}
