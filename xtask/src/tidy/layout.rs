//! Folders, names and manifests.

use cargo_metadata::Package;

use super::crates::rules_of;
use crate::workspace::{Workspace, is_publishable};

/// Returns what is wrong with the folders and manifests of the members.
pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    workspace.members().into_iter().flat_map(|package| member(workspace, package)).collect()
}

fn member(workspace: &Workspace, package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let mut wrong = Vec::new();
    let folder =
        package.manifest_path.parent().map(|folder| folder.as_std_path()).unwrap_or(workspace.root());
    let home = workspace.root().join("crates").join(name);
    if folder != home {
        if is_publishable(package) {
            wrong.push(format!("{name}: published crates live in crates/{name}"));
        }
        return wrong;
    }
    if rules_of(name).is_none() {
        wrong.push(format!("{name}: no rule says what it may use: add it to xtask/src/tidy/crates.rs"));
    }
    if package.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        wrong.push(format!("{name}: no `description`"));
    }
    if package.license.is_none() {
        wrong.push(format!("{name}: no `license`: inherit the workspace's"));
    }
    match &package.readme {
        Some(readme) if folder.join(readme).is_file() => {}
        _ => wrong.push(format!("{name}: no README.md that the manifest names")),
    }
    wrong
}
