//! The manifests on pages: they parse, and ask for versions and features that there are.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::workspace::Workspace;

/// What a manifest may ask for.
pub(super) struct Known {
    /// The members' versions and features.
    members: BTreeMap<String, (String, Vec<String>)>,
    /// What the members ask of other crates.
    requirements: BTreeMap<String, String>,
}

impl Known {
    /// Reads the workspace's manifests.
    pub(super) fn of(workspace: &Workspace) -> Self {
        let members = workspace.members();
        let own = members.iter().map(|package| {
            let features = package.features.keys().cloned().collect();
            (package.name.to_string(), (package.version.to_string(), features))
        });
        let others = members.iter().flat_map(|package| &package.dependencies);
        Self {
            members: own.collect(),
            requirements: others.map(|it| (it.name.clone(), it.req.to_string())).collect(),
        }
    }

    fn judge(&self, name: &str, dependency: &Value) -> Option<String> {
        let version = match dependency {
            Value::String(version) => version,
            Value::Table(table) => table.get("version")?.as_str()?,
            _ => return Some(format!("`{name}` is no dependency")),
        };
        let Some((ours, features)) = self.members.get(name) else {
            let ours = self.requirements.get(name)?;
            return (!is_compatible(version, ours))
                .then(|| format!("`{name}` is {version} here and {ours} in the crates"));
        };
        if !is_compatible(version, ours) {
            return Some(format!("`{name}` is {version} here and is {ours}"));
        }
        let named = dependency.get("features").and_then(|features| features.as_array());
        let mut named = named.into_iter().flatten().filter_map(|feature| feature.as_str());
        let missing = named.find(|feature| !features.iter().any(|known| known == feature));
        missing.map(|feature| format!("`{name}` has no feature `{feature}`"))
    }
}

/// Returns what is wrong with a block of TOML.
pub(super) fn judge(text: &str, known: &Known) -> Vec<String> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("no TOML: {}", error.message())],
    };
    let sections = ["dependencies", "dev-dependencies"];
    let sections = sections.iter().filter_map(|name| table.get(*name)?.as_table()).flatten();
    // A page may show one line alone, without its section.
    let alone = table.iter().filter(|(name, _)| known.members.contains_key(*name));
    sections.chain(alone).filter_map(|(name, dependency)| known.judge(name, dependency)).collect()
}

/// Returns whether two requirements allow the same versions, up to the part that may break.
fn is_compatible(one: &str, other: &str) -> bool {
    breaking(one) == breaking(other)
}

/// Returns a version up to its first part that is not zero.
fn breaking(version: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in version.trim_start_matches(['^', '=']).split('.') {
        parts.push(part);
        if part != "0" {
            break;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_or_feature_that_is_not_there_is_found() {
        let known = Known::of(&Workspace::load().unwrap());
        for line in [
            "[dependencies]\nrds-wrapper = \"0.2\"",
            "[dev-dependencies]\nrds-testkit = { version = \"0.1\", features = [\"none\"] }",
            "rds-wrapper = { version = \"0.1\", features = [\"bb8\", \"bb9\"] }",
            "[dependencies]\ntokio = \"2\"",
            "[dependencies]\nmysql_async = { version = \"0.36.1\" }",
            "[dependencies]\ntokio = 1",
            "tokio = { ",
        ] {
            assert_eq!(judge(line, &known).len(), 1, "{line}");
        }
        for line in [
            "[dependencies]\ntokio = { version = \"1\", features = [\"macros\"] }\nrds-wrapper = \"0.1\"",
            "[dependencies]\ntokio-postgres = \"0.7\"\nnobody-knows = \"3\"",
            "name = \"orders\"\nlisten = [6432]",
        ] {
            assert_eq!(judge(line, &known), [""; 0], "{line}");
        }
    }
}
