//! The workspace metadata of cargo.

use std::{collections::BTreeSet, path::Path};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use serde_json::Value;

use crate::{Result, process};

/// The workspace's packages.
pub(crate) struct Workspace(Metadata);

impl Workspace {
    /// Loads the metadata of cargo.
    pub(crate) fn load() -> Result<Self> {
        Ok(Self(MetadataCommand::new().no_deps().exec()?))
    }

    /// Returns the folder of the workspace manifest.
    pub(crate) fn root(&self) -> &Path {
        self.0.workspace_root.as_std_path()
    }

    /// Returns the target folder.
    pub(crate) fn target(&self) -> &Path {
        self.0.target_directory.as_std_path()
    }

    /// Returns the members, sorted by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members = self.0.workspace_packages();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Returns the members that are published.
    pub(crate) fn publishable(&self) -> Vec<&Package> {
        let mut members = self.members();
        members.retain(|member| is_publishable(member));
        members
    }

    /// Returns the members that the code of a package uses; its tests may use others.
    pub(crate) fn members_used_by(&self, package: &Package) -> BTreeSet<String> {
        let members: BTreeSet<&str> = self.members().iter().map(|member| member.name.as_str()).collect();
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        normal
            .map(|dependency| dependency.name.clone())
            .filter(|name| members.contains(name.as_str()))
            .collect()
    }

    /// Returns the names of the packages that a user of one member compiles into a program, with
    /// its default features or with all.
    pub(crate) fn closure(&self, package: &str, all_features: bool) -> Result<BTreeSet<String>> {
        // Dependencies of other platforms count as well.
        let more: &[&str] = if all_features { &["--all-features", "--target", "all"] } else { &[] };
        let mut names = self.tree(&[&["--package", package, "--edges", "normal"], more].concat())?;
        names.remove(package);
        Ok(names)
    }

    /// Returns the same with these features and no others.
    pub(crate) fn closure_with(&self, package: &str, features: &str) -> Result<BTreeSet<String>> {
        let which =
            ["--package", package, "--edges", "normal", "--no-default-features", "--features", features];
        self.tree(&which)
    }

    /// Returns the names of the packages that any member needs for anything, with any feature, on
    /// any platform.
    ///
    /// Cargo's metadata list more: what a dependency could need with other features.
    pub(crate) fn everything(&self) -> Result<BTreeSet<String>> {
        self.tree(&["--workspace", "--edges", "all", "--all-features", "--target", "all"])
    }

    fn tree(&self, which: &[&str]) -> Result<BTreeSet<String>> {
        let mut tree = process::cargo(self.root());
        let lines = process::output(tree.args(["tree", "--prefix", "none", "--format", "{p}"]).args(which))?;
        let names = lines.lines().filter_map(|line| line.split(' ').next());
        Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}

/// Returns whether a package is published.
pub(crate) fn is_publishable(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// Returns the features that a selection turns on, those it implies included.
pub(crate) fn enabled(package: &Package, row: &[String]) -> BTreeSet<String> {
    let mut on = BTreeSet::new();
    let mut left = row.to_vec();
    // Features may imply each other in a circle: a name that is on already is not followed again.
    while let Some(name) = left.pop() {
        if let Some(implied) = package.features.get(&name)
            && on.insert(name)
        {
            left.extend(implied.iter().cloned());
        }
    }
    on
}

/// Returns the groups of features of which one may be on.
pub(crate) fn exclusive(package: &Package) -> Vec<Vec<String>> {
    let groups = package.metadata.pointer("/xtask/exclusive").and_then(|groups| groups.as_array());
    groups.into_iter().flatten().map(|group| strings(Some(group))).collect()
}

/// Returns the texts of a list in the metadata.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(|value| value.as_array()).into_iter().flatten();
    values.filter_map(|value| value.as_str()).map(str::to_owned).collect()
}
