//! Folders, names and manifests.

use std::path::Path;

use cargo_metadata::Package;

use super::crates::rules_of;
use crate::workspace::{Workspace, enabled, exclusive, is_publishable, strings};

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
        wrong.push(format!("{name}: missing rule for its dependencies: add it to xtask/src/tidy/crates.rs"));
    }
    if package.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        wrong.push(format!("{name}: missing `description`"));
    }
    if package.license.is_none() {
        wrong.push(format!("{name}: missing `license`: inherit the workspace's"));
    }
    match &package.readme {
        Some(readme) if folder.join(readme).is_file() => {}
        _ => wrong.push(format!("{name}: missing README.md, named by the manifest")),
    }
    if is_publishable(package) {
        wrong.extend(published(package, folder));
    }
    wrong
}

/// Returns what is missing for a package page or docs.rs.
fn published(package: &Package, folder: &Path) -> Vec<String> {
    let name = package.name.as_str();
    let mut wrong = Vec::new();
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        if !folder.join(file).is_file() {
            wrong.push(format!("{name}: missing {file}: link the workspace's"));
        }
    }
    if package.repository.is_none() || package.homepage.is_none() {
        wrong.push(format!("{name}: missing `repository` or `homepage`: inherit the workspace's"));
    }
    let page = format!("https://docs.rs/{name}");
    if package.documentation.as_deref() != Some(page.as_str()) {
        wrong.push(format!("{name}: `documentation` is not {page}"));
    }
    let is_library = package.targets.iter().any(|target| target.is_lib());
    if is_library {
        let hidden = hidden_features(package);
        wrong.extend(
            hidden.map(|feature| format!("{name}: `package.metadata.docs.rs` lacks the feature `{feature}`")),
        );
    }
    wrong
}

/// Returns the features that docs.rs would not show, although it could.
fn hidden_features(package: &Package) -> impl Iterator<Item = &String> {
    let mut shown = strings(package.metadata.pointer("/docs/rs/features"));
    shown.push("default".to_owned());
    let on = enabled(package, &shown);
    // Of exclusive features one is shown.
    let excluded: Vec<String> = exclusive(package)
        .into_iter()
        .filter(|group| group.iter().any(|it| on.contains(it)))
        .flatten()
        .collect();
    package.features.keys().filter(move |feature| !on.contains(*feature) && !excluded.contains(feature))
}
