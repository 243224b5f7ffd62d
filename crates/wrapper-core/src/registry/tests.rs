use super::*;
use crate::{ConnectRequest, Engine, Next, Opening, ParameterKind, Value};

struct Fake {
    code: &'static str,
    weight: i32,
    parameters: &'static [Parameter],
}

#[derive(Debug)]
struct FakePlugin(&'static str);

impl Factory<()> for Fake {
    fn code(&self) -> &str {
        self.code
    }

    fn parameters(&self) -> &[Parameter] {
        self.parameters
    }

    fn aliases(&self) -> &[&str] {
        if self.code == "auth" { &["authentication"] } else { &[] }
    }

    fn covers(&self) -> &[&str] {
        if self.code == "retry" { &["retryV1"] } else { &[] }
    }

    fn conflicts(&self) -> &[&str] {
        if self.code == "secret" { &["auth"] } else { &[] }
    }

    fn weight(&self) -> i32 {
        self.weight
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Plugin<()>>> {
        Ok(Arc::new(FakePlugin(self.code)))
    }
}

impl Plugin<()> for FakePlugin {
    fn code(&self) -> &str {
        self.0
    }

    fn connect<'a>(&'a self, request: ConnectRequest, next: Next<'a, ()>) -> Opening<'a, ()> {
        next.run(request)
    }
}

const AUTH: &[Parameter] =
    &[Parameter::new("authHost", ParameterKind::Text, "", "").aliases(&["loginDomain"]), SHARED];

const SHARED: Parameter = Parameter::new("cloudProfile", ParameterKind::Text, "", "");

const SECRET: &[Parameter] = &[SHARED];

fn registry() -> Registry<()> {
    Registry::new()
        .with(Fake { code: "auth", weight: 1000, parameters: AUTH })
        .with(Fake { code: "retry", weight: 100, parameters: &[] })
        .with(Fake { code: "secret", weight: 1000, parameters: SECRET })
}

fn build(pairs: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut given = RawParameters::new();
    for (name, value) in pairs {
        given.configure(name, *value)?;
    }
    let (plugins, _) = registry().build(&given, &[ConnectRequest::new("a.example", 1, "jane")])?;
    Ok(plugins.iter().map(|plugin| plugin.code().to_owned()).collect())
}

#[track_caller]
fn refused(pairs: &[(&str, &str)], message: &str) {
    assert_eq!(build(pairs).expect_err("refused").to_string(), message);
}

#[test]
fn plugins_are_sorted_by_weight_unless_told_otherwise() {
    assert_eq!(build(&[("plugins", "auth, retry")]).unwrap(), ["retry", "auth"]);
    let kept = [("plugins", "auth,retry"), ("autoSortWrapperPluginOrder", "false")];
    assert_eq!(build(&kept).unwrap(), ["auth", "retry"]);
    assert!(build(&[]).unwrap().is_empty());
}

#[test]
fn plugin_code_wrong() {
    refused(&[("plugins", "atuh")], "unknown plugin `atuh` in `plugins`: did you mean `auth`?");
    refused(&[("plugins", "x")], "unknown plugin `x` in `plugins`: there is `auth`, `retry`, `secret`");
    refused(&[("plugins", "auth,auth")], "plugin `auth` is named twice in `plugins`");
    refused(
        &[("plugins", "auth,limitless")],
        "plugin `limitless` is known, not available yet: take it out of `plugins`",
    );
    for code in ["awsSecretsManager2", "host_monitoring_v2", "EFM2", "gdbAutoSimpleReadWriteSplitting"] {
        let error = build(&[("plugins", code)]).expect_err("refused").to_string();
        assert!(error.contains("known, not available yet"), "{error}");
    }
    refused(
        &[("plugins", "jane:hunter2")],
        "unknown plugin in `plugins`: there is `auth`, `retry`, `secret`",
    );
}

#[test]
fn plugin_answers_to_its_aliases() {
    assert_eq!(build(&[("plugins", "authentication, retry")]).unwrap(), ["retry", "auth"]);
    refused(&[("plugins", "auth,authentication")], "plugin `authentication` is named twice in `plugins`");
}

#[test]
fn plugin_whose_work_another_does_is_named_with_that() {
    refused(
        &[("plugins", "auth,retry_v1")],
        "plugin `retry_v1` is covered by `retry`: write that in its place in `plugins`",
    );
}

#[test]
fn plugins_that_exclude_each_other_are_refused_in_any_order() {
    for plugins in ["auth,secret", "secret,authentication", "retry,secret,auth"] {
        refused(
            &[("plugins", plugins)],
            "plugins `secret` and `auth` exclude each other: take one out of `plugins`",
        );
    }
}

#[test]
fn parameter_of_a_plugin_that_is_not_enabled_is_refused() {
    refused(
        &[("plugins", "retry"), ("authHost", "h")],
        "`authHost` belongs to plugin `auth`, which is not enabled: add plugins=auth",
    );
}

#[test]
fn parameter_of_several_plugins_needs_one_of_them() {
    for code in ["auth", "secret"] {
        assert_eq!(build(&[("plugins", code), ("cloudProfile", "p")]).unwrap(), [code]);
    }
    refused(
        &[("plugins", "retry"), ("cloudProfile", "p")],
        "`cloudProfile` belongs to the plugins `auth` and `secret`, none of which is enabled: add plugins=auth",
    );
}

#[test]
fn plugin_that_is_left_out_names_its_feature() {
    for code in ["awsSecretsManager", "secretsManager", "aws_secrets_manager"] {
        let error = build(&[("plugins", code)]).expect_err("refused").to_string();
        assert!(error.contains("enable the feature `secrets` of rds-wrapper"), "{error}");
    }
}

#[test]
fn unknown_parameter_names_the_nearest_and_no_value() {
    let driver = DriverNames {
        names: &["password", "user"],
        known_elsewhere: &[("kennwort", "password")],
        engine: None,
    };
    let message = |name| registry().unknown_parameter(name, &driver).to_string();

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
    let message = |name| registry().unknown_parameter_in_doubt(name, &driver).to_string();

    assert_eq!(message("usr"), "unknown parameter `usr`: did you mean `user`?");
    assert!(!message("hunter2").contains("hunter2"));
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
        let from_string = registry().unknown_parameter(name, &driver).to_string();
        let entry = ((*name).to_owned(), Value::from("hunter2"));
        let from_map = registry().check_elsewhere(&[entry], &driver).expect_err(name).to_string();
        assert_eq!(from_string, from_map);
        let says = from_map.contains("is of no use here, leave it out: ")
            || from_map.contains("which is known, not available yet: leave it out");
        assert!(says && from_map.starts_with(&format!("`{name}` ")), "{from_map}");
        assert_eq!(registry().unknown_parameter_in_code(name).to_string(), from_map);
        assert!(!registry().unknown_parameter_in_doubt(name, &driver).to_string().contains(name), "{name}");
        let absent = ((*name).to_owned(), Value::Null);
        assert!(registry().check_elsewhere(&[absent], &driver).is_ok(), "null is no entry");
    }
}

#[test]
fn parameter_that_the_driver_has_is_left_to_it() {
    let driver = DriverNames { names: &["charset"], known_elsewhere: &[], engine: Some(Engine::Mysql) };
    let entries = ["charset", "pool"].map(|name| (name.to_owned(), Value::from("x")));
    assert!(registry().check_elsewhere(&entries[..1], &driver).is_ok());
    assert!(registry().check_elsewhere(&entries, &driver).expect_err("pool").to_string().contains("`pool`"));
}

#[test]
fn common_names_of_other_drivers_lead_to_what_is_written_here() {
    let message = |engine, name| {
        let names = &["connect_timeout", "enable_cleartext_plugin", "options"];
        let driver = DriverNames { names, known_elsewhere: &[], engine: Some(engine) };
        registry().unknown_parameter(name, &driver).to_string()
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
