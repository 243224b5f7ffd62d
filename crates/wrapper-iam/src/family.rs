//! The plugins of the AWS Advanced wrapper family by their codes, for errors that name one that is
//! not there.

/// Codes of plugins that are crates of their own, which a program may leave out, with the features
/// of the facade that bring them.
const OPTIONAL: &[(&str, &str)] = &[
    ("awsSecretsManager", "secrets"),
    ("failover2", "topology"),
    ("initialConnection", "topology"),
    ("secretsManager", "secrets"),
];

/// Codes of plugins that other members of the AWS Advanced wrapper family have and this one has not
/// yet.
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

/// Says why a plugin of the family is not there, and what to do.
pub(crate) fn absence(code: &str) -> Option<String> {
    let is_it = |known: &str| folded(known) == folded(code);
    if let Some((known, feature)) = OPTIONAL.iter().find(|(known, _)| is_it(known)) {
        return Some(format!(
            "plugin `{known}` is not compiled in: enable the feature `{feature}` of rds-wrapper"
        ));
    }
    let known = PLANNED.iter().find(|known| is_it(known))?;
    Some(format!("plugin `{known}` is known, not available yet: take it out of `plugins`"))
}

/// Returns a code as it is compared: `auto_read_write_splitting` and `autoReadWriteSplitting` are
/// one.
fn folded(code: &str) -> String {
    code.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_of_the_family_are_known_in_any_spelling() {
        let absence = absence("limitless").expect("known");
        assert_eq!(absence, "plugin `limitless` is known, not available yet: take it out of `plugins`");
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
}
