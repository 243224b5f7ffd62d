//! The packages that a user of a crate has to compile.

use std::collections::BTreeSet;

use super::crates::{Closure, CrateRules, rules_of};
use crate::{Result, workspace::Workspace};

/// The features by which the facade does all TLS with rustls.
const ALL_RUSTLS: &str = "default-chain,mysql-rustls,postgres,rustls";

/// Returns the packages that are forbidden in the closure of a crate.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    // Beside aws-lc-rs a second provider makes rustls's `ClientConfig::builder` panic.
    if workspace.everything()?.contains("ring") {
        wrong
            .push("`ring` is in the tree beside aws-lc-rs: see `cargo tree --target all -i ring`".to_owned());
    }
    let rustls = workspace.closure_with("rds-wrapper", ALL_RUSTLS)?;
    if let Some(native) = ["native-tls", "openssl-sys"].into_iter().find(|name| rustls.contains(*name)) {
        wrong.push(format!("rds-wrapper: brings `{native}` with the features {ALL_RUSTLS}"));
    }
    for package in workspace.members() {
        let Some(rules) = rules_of(&package.name) else { continue };
        // A user asks for what a feature brings; what the defaults bring comes unasked.
        let default = workspace.closure(&package.name, false)?;
        let full = workspace.closure(&package.name, true)?;
        wrong.extend(judge(rules, &default, &full));
    }
    Ok(wrong)
}

fn judge(rules: &CrateRules, default: &BTreeSet<String>, full: &BTreeSet<String>) -> Vec<String> {
    let banned: Vec<&String> = match rules.closure {
        Closure::Free => Vec::new(),
        Closure::NoneOf(names) | Closure::Small(_, names) => {
            full.iter().filter(|name| names.contains(&name.as_str())).collect()
        }
        Closure::NoneByDefault(names) => {
            default.iter().filter(|name| names.contains(&name.as_str())).collect()
        }
        Closure::NoAws => full.iter().filter(|name| is_aws(name)).collect(),
        Closure::Only(names) => default.iter().filter(|name| !names.contains(&name.as_str())).collect(),
    };
    let mut wrong: Vec<String> = banned
        .into_iter()
        .map(|name| format!("{}: may not bring `{name}` to its users", rules.name))
        .collect();
    if let Closure::Small(most, _) = rules.closure
        && default.len() > most
    {
        wrong.push(format!(
            "{}: brings {} packages to its users, at most {most} may be",
            rules.name,
            default.len()
        ));
    }
    wrong
}

/// Returns whether a package belongs to the AWS SDK; aws-lc-rs, the cryptography of rustls, does
/// not.
fn is_aws(name: &str) -> bool {
    name.starts_with("aws-") && !name.starts_with("aws-lc-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, default: &[&str], full: &[&str]) -> usize {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        judge(rules_of(name).unwrap(), &set(default), &set(full)).len()
    }

    #[test]
    fn adapter_with_the_sdk_is_refused() {
        assert_eq!(check("wrapper-pg", &[], &["aws-credential-types", "tokio"]), 1);
    }

    #[test]
    fn adapter_may_use_rustls_with_its_cryptography() {
        assert_eq!(check("wrapper-pg", &[], &["aws-lc-rs", "aws-lc-sys", "rustls"]), 0);
    }

    #[test]
    fn testkit_may_bring_a_signer_by_a_feature_only() {
        assert_eq!(check("rds-testkit", &[], &["aws-sigv4", "iam-token"]), 0);
        assert_eq!(check("rds-testkit", &["iam-token"], &["iam-token"]), 1);
    }

    #[test]
    fn allowed_list_counts_for_default_features_only() {
        assert_eq!(check("host-pattern", &["memchr", "regex"], &["memchr", "regex", "serde"]), 0);
        assert_eq!(check("host-pattern", &["once_cell", "regex"], &["once_cell", "regex"]), 1);
    }

    #[test]
    fn token_crate_that_grows_is_refused() {
        let names: Vec<String> = (0..59).map(|number| format!("crate-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(check("iam-token", &names[..58], &names), 0);
        assert_eq!(check("iam-token", &names, &names), 1);
    }
}
