//! The plugins and parameters of the AWS Advanced wrapper family, for errors that name a missing
//! one.

/// The codes of optional plugins, with the facade's features that enable them.
const OPTIONAL: &[(&str, &str)] = &[
    ("awsSecretsManager", "secrets"),
    ("failover2", "topology"),
    ("initialConnection", "topology"),
    ("secretsManager", "secrets"),
];

/// The codes of plugins that only other members of the AWS Advanced wrapper family have so far.
const PLANNED: &[&str] = &[
    "autoReadWriteSplitting",
    "autoSimpleReadWriteSplitting",
    "awsSecretsManager2",
    "bg",
    "blueGreen",
    "connectTime",
    "customEndpoint",
    "dataCache",
    "dev",
    "driverMetaData",
    "efm",
    "efm2",
    "executeTime",
    "executionTime",
    "fastestResponseStrategy",
    "federatedAuth",
    "gdbAutoReadWriteSplitting",
    "gdbAutoSimpleReadWriteSplitting",
    "gdbFailover",
    "gdbReadWriteSplitting",
    "gdbSimpleReadWriteSplitting",
    "hostMonitoring",
    "hostMonitoringV2",
    "kmsEncryption",
    "limitless",
    "logQuery",
    "okta",
    "readWriteSplitting",
    "remoteQueryCache",
    "simpleReadWriteSplitting",
    "sqlParser",
    "srw",
];

/// The parameters of the family's plugins; a `*` at the end matches any suffix.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "failover2",
        &[
            "clusterId",
            "clusterTopology*",
            "enableClusterAwareFailover",
            "enableConnectFailover",
            "failover*",
            "singleWriterConnectionString",
            "telemetryFailoverAdditionalTopTrace",
            "topology_monitoring_*",
        ],
    ),
    (
        "initialConnection",
        &[
            "endpointSubstitutionRole",
            "openConnectionRetry*",
            "readerHostSelectorStrategy",
            "readerInitialConnectionHostSelectorStrategy",
            "roundRobin*",
            "verifyInitialConnectionRole",
            "verifyOpenedConnectionType",
            "waitForInitialTopologyMs",
        ],
    ),
    (
        "awsSecretsManager",
        &[
            "secretArn",
            "secretEndpoint",
            "secretExpirationSec",
            "secretId",
            "secretName",
            "secretPasswordProperty",
            "secretRegion",
            "secretRotationRetryTimeoutMs",
            "secretsManager*",
            "secretUsernameProperty",
        ],
    ),
    ("efm2", &["failureDetection*", "monitorDisposalTime", "monitoring_*", "monitoring-*"]),
    (
        "bg",
        &[
            "bgBaselineMs",
            "bgConnectTimeoutMs",
            "bgdId",
            "bgHighMs",
            "bgIncreasedMs",
            "bgSuspendNewBlueConnections",
            "bgSwitchoverTimeoutMs",
            "blue_green_monitoring_*",
            "enableGreenHostReplacement",
            "enableGreenNodeReplacement",
        ],
    ),
    ("customEndpoint", &["customEndpoint*", "waitForCustomEndpointInfo*"]),
    ("limitless", &["limitless*"]),
    ("fastestResponseStrategy", &["responseMeasurementIntervalMs"]),
    ("readWriteSplitting", &["cachedReaderKeepAliveTimeoutMs", "queryLevelLoadBalancing", "srw*"]),
    ("federatedAuth", &["appId", "httpsAgentOptions", "iamIdpArn", "iamRoleArn", "idp*", "rpIdentifier"]),
];

/// Explains why a plugin of the family is missing, with the remedy, as a clause that follows "is".
pub(crate) fn absence(code: &str) -> Option<String> {
    let is_it = |known: &str| folded(known) == folded(code);
    if let Some((_, feature)) = OPTIONAL.iter().find(|(known, _)| is_it(known)) {
        return Some(format!("not compiled in: enable the feature `{feature}` of rds-wrapper"));
    }
    PLANNED.iter().any(|known| is_it(known)).then(|| "known, not available yet: leave it out".to_owned())
}

/// Returns the code of the plugin that a parameter of the family belongs to.
pub(crate) fn owner(parameter: &str) -> Option<&'static str> {
    let wanted = folded(parameter);
    let is_one = |known: &&str| match known.strip_suffix('*') {
        Some(begin) => wanted.starts_with(&folded(begin)),
        None => wanted == folded(known),
    };
    PARAMETERS.iter().find(|(_, names)| names.iter().any(is_one)).map(|(code, _)| *code)
}

/// Explains why a parameter of the family that supplies credentials has no effect.
pub(crate) fn without_effect(parameter: &str) -> Option<&'static str> {
    let wanted = folded(parameter);
    let handlers = ["awsCredentialsProviderHandler", "customAwsCredentialProviderHandler"];
    let is_handler = handlers.iter().any(|handler| wanted == folded(handler));
    is_handler.then_some("credentials of your own are given to the plugin in code")
}

/// Normalizes a code for comparison: `auto_read_write_splitting` equals `autoReadWriteSplitting`.
fn folded(code: &str) -> String {
    code.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_of_the_family_are_known_in_any_spelling() {
        let absence = absence("limitless").expect("known");
        assert_eq!(absence, "known, not available yet: leave it out");
        for code in ["awsSecretsManager2", "host_monitoring_v2", "EFM2", "gdbAutoSimpleReadWriteSplitting"] {
            assert!(
                super::absence(code).is_some_and(|why| why.contains("known, not available yet")),
                "{code}"
            );
        }
        for (code, feature) in [
            ("awsSecretsManager", "secrets"),
            ("secretsManager", "secrets"),
            ("aws_secrets_manager", "secrets"),
            ("failover2", "topology"),
        ] {
            let why = super::absence(code).expect("a crate of its own");
            assert!(why.contains(&format!("enable the feature `{feature}` of rds-wrapper")), "{why}");
        }
        assert_eq!(super::absence("jane:hunter2"), None);
    }

    #[test]
    fn parameters_of_the_family_lead_to_their_plugin() {
        for (parameter, code) in [
            ("failoverTimeoutMs", "failover2"),
            ("cluster_id", "failover2"),
            ("openConnectionRetryTimeoutMs", "initialConnection"),
            ("monitoring_connectTimeout", "efm2"),
            ("idpUsername", "federatedAuth"),
            ("secretId", "awsSecretsManager"),
            ("secrets_manager_secret_id", "awsSecretsManager"),
        ] {
            assert_eq!(owner(parameter), Some(code), "{parameter}");
            assert!(super::absence(code).is_some(), "{code} says why it is not there");
        }
        assert_eq!((owner("iamHost"), owner("failove")), (None, None));
    }
}
