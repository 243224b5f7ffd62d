//! The manifests on pages: they parse, and ask for versions and features that there are.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::workspace::Workspace;

/// The tables that hold dependencies: of the package, of a target or of the workspace.
const SECTIONS: &[&str] = &["build-dependencies", "dependencies", "dev-dependencies"];

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
        let no_dependency = || Some(format!("`{name}` is no dependency"));
        let (version, features) = match dependency {
            Value::String(_) => (Some(dependency), None),
            Value::Table(table) => (table.get("version"), table.get("features")),
            _ => return no_dependency(),
        };
        let name = dependency.get("package").and_then(Value::as_str).unwrap_or(name);
        let member = self.members.get(name);
        if let (Some((_, known)), Some(features)) = (member, features) {
            let Some(features) = features.as_array() else { return no_dependency() };
            let mut named = features.iter().filter_map(Value::as_str);
            if let Some(missing) = named.find(|feature| !known.iter().any(|it| it == feature)) {
                return Some(format!("`{name}` has no feature `{missing}`"));
            }
        }
        // A path, a repository or the workspace stands in place of a version.
        let Some(version) = version?.as_str() else { return no_dependency() };
        let ours = member.map(|(ours, _)| ours).or_else(|| self.requirements.get(name))?;
        (!is_compatible(version, ours))
            .then(|| format!("`{name}` is {version} here and {ours} in the crates"))
    }
}

/// Returns what is wrong with a block of TOML.
pub(super) fn judge(text: &str, known: &Known) -> Vec<String> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("no TOML: {}", error.message())],
    };
    let inner = |name| table.get(name).and_then(Value::as_table);
    let targets = inner("target").into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let holders = targets.chain(inner("workspace")).chain([&table]);
    let sections =
        holders.flat_map(|holder| SECTIONS.iter().filter_map(|name| holder.get(*name)?.as_table())).flatten();
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
            "rds-wrapper = { features = [\"bb9\"] }",
            "rds-wrapper = { path = \"../rds-wrapper\", features = [\"bb9\"] }",
            "rds-wrapper = { workspace = true, features = [\"bb9\"] }",
            "[dependencies.rds-wrapper]\ngit = \"https://example.com\"\nfeatures = [\"bb9\"]",
            "[dependencies]\nwrapper = { package = \"rds-wrapper\", features = [\"bb9\"] }",
            "rds-wrapper = { version = \"0.1\", features = \"bb8\" }",
            "rds-wrapper = { version = 1 }",
            "[build-dependencies]\nrds-wrapper = { features = [\"bb9\"] }",
            "[target.'cfg(unix)'.dependencies]\nrds-wrapper = \"0.2\"",
            "[target.'cfg(unix)'.dev-dependencies]\nrds-testkit = { features = [\"none\"] }",
            "[target.x86_64-unknown-linux-gnu.build-dependencies]\ntokio = \"2\"",
            "[workspace.dependencies]\nrds-wrapper = { features = [\"bb9\"] }",
            "[dependencies]\ntokio = \"2\"",
            "[dependencies]\nmysql_async = { version = \"0.36.1\" }",
            "[dependencies]\ntokio = 1",
            "tokio = { ",
        ] {
            assert_eq!(judge(line, &known).len(), 1, "{line}");
        }
        for line in [
            "[dependencies]\ntokio = { version = \"1\", features = [\"macros\"] }\nrds-wrapper = \"0.1\"",
            "rds-wrapper = { path = \"../rds-wrapper\", features = [\"bb8\"] }",
            "[target.'cfg(unix)'.dependencies]\nrds-wrapper = { workspace = true }",
            "[[target]]\nname = \"orders\"",
            "[dependencies]\ntokio-postgres = \"0.7\"\nnobody-knows = \"3\"",
            "name = \"orders\"\nlisten = [6432]",
        ] {
            assert_eq!(judge(line, &known), [""; 0], "{line}");
        }
    }
}
