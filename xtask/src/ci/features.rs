//! Every publishable crate with no features, with each of its features alone, and with its
//! defaults.
//!
//! A crate says in its manifest which combinations it refuses:
//!
//! ```toml
//! [package.metadata.xtask]
//! requires-one-of = ["native-tls", "rustls"]   # without one of these it does not compile
//! exclusive = [["native-tls", "rustls"]]       # nor with two of a group
//! ```

use cargo_metadata::Package;

use crate::{
    Result, output, process,
    workspace::{Workspace, enabled, exclusive, strings},
};

/// Compiles the combinations; their warnings are errors too.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut failed = Vec::new();
    for package in workspace.publishable() {
        for features in combinations(package) {
            let mut clippy = process::cargo(workspace.root());
            // Clippy rather than check: it takes `-D warnings` without compiling the dependencies
            // anew.
            clippy.args(["clippy", "--quiet", "--package", package.name.as_str()]);
            match &features {
                Features::Default => {}
                Features::Only(names) => {
                    clippy.arg("--no-default-features");
                    clippy.args(names.iter().map(|name| format!("--features={name}")));
                }
            }
            if let Err(error) = process::run(clippy.args(["--", "-D", "warnings"])) {
                output::error(&error.to_string());
                failed.push(format!("{} {features:?}", package.name));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("do not compile: {}", failed.join("; ")).into()) }
}

/// Returns whether a package has features that cannot be on together.
pub(super) fn are_exclusive(package: &Package) -> bool {
    !exclusive(package).is_empty()
}

/// Returns the features of a package that exclude one of its defaults.
pub(super) fn alternatives(package: &Package) -> Vec<String> {
    let on = enabled(package, &["default".to_owned()]);
    let groups = exclusive(package).into_iter().filter(|group| group.iter().any(|name| on.contains(name)));
    groups.flatten().filter(|name| !on.contains(name)).collect()
}

#[derive(Debug, PartialEq)]
enum Features {
    Default,
    Only(Vec<String>),
}

fn combinations(package: &Package) -> Vec<Features> {
    let names = package.features.keys().filter(|name| *name != "default");
    let mut rows = vec![Features::Default];
    for row in std::iter::once(Vec::new()).chain(names.map(|name| vec![name.clone()])) {
        // Completed first: what is added to a row may clash with it.
        let row = completed(package, row);
        let on = enabled(package, &row);
        let clashes =
            exclusive(package).iter().any(|group| group.iter().filter(|name| on.contains(*name)).count() > 1);
        let row = Features::Only(row);
        // Two rows become the same if one feature completes the other.
        if !clashes && !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// Adds the first feature of those of which one is required, if none is on.
fn completed(package: &Package, mut row: Vec<String>) -> Vec<String> {
    let required = strings(package.metadata.pointer("/xtask/requires-one-of"));
    let on = enabled(package, &row);
    if let Some(first) = required.first()
        && !required.iter().any(|name| on.contains(name))
    {
        row.push(first.clone());
    }
    row
}

#[cfg(test)]
mod tests;
