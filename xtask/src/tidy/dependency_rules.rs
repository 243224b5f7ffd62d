//! Which crates of the workspace may depend on which.

use std::collections::BTreeSet;

use super::crates::{CrateRules, rules_of};
use crate::workspace::Workspace;

/// Returns the forbidden dependencies.
pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    let ruled =
        workspace.members().into_iter().filter_map(|package| Some((rules_of(&package.name)?, package)));
    ruled.flat_map(|(rules, package)| forbidden(rules, &workspace.members_used_by(package))).collect()
}

fn forbidden(rules: &CrateRules, used: &BTreeSet<String>) -> Vec<String> {
    let strangers = used.iter().filter(|name| !rules.uses.contains(&name.as_str()));
    strangers
        .map(|name| format!("{}: may not use {name} (allowed: {})", rules.name, allowed(rules)))
        .collect()
}

fn allowed(rules: &CrateRules) -> String {
    if rules.uses.is_empty() { "no crate of the workspace".to_owned() } else { rules.uses.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, used: &[&str]) -> usize {
        forbidden(rules_of(name).unwrap(), &used.iter().map(|&name| name.to_owned()).collect()).len()
    }

    #[test]
    fn leaf_that_uses_a_sibling_is_refused() {
        assert_eq!(check("iam-token", &["host-pattern"]), 1);
    }

    #[test]
    fn adapter_may_use_the_core() {
        assert_eq!(check("wrapper-pg", &["host-pattern", "wrapper-adapter", "wrapper-core"]), 0);
    }

    #[test]
    fn core_that_uses_the_adapter_crate_is_refused() {
        assert_eq!(check("wrapper-core", &["host-pattern", "wrapper-adapter"]), 1);
        assert_eq!(check("wrapper-iam", &["wrapper-adapter", "wrapper-core"]), 1);
    }

    #[test]
    fn adapter_that_knows_iam_is_refused() {
        assert_eq!(check("wrapper-pg", &["wrapper-core", "wrapper-iam"]), 1);
    }

    #[test]
    fn facade_may_not_ship_the_testkit() {
        assert_eq!(check("rds-wrapper", &["rds-testkit", "wrapper-iam"]), 1);
    }
}
