//! The checks that take too long for each change: weekly, and before a release.
//!
//! A tool that is missing fails its step, so that nothing passes that was not looked at.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use cargo_metadata::Package;

use super::Step;
use crate::{Result, process, workspace::Workspace};

/// The list of a crate's public items, beside its manifest.
const LIST: &str = "public-api.txt";

/// Returns the steps, the quick ones first.
pub(super) fn steps(workspace: &Workspace) -> Result<Vec<(&'static str, Step)>> {
    let mut steps: Vec<(&str, Step)> = vec![
        ("licences, bans, sources", deny),
        ("spelling", spelling),
        ("packages", packages),
        ("public API", public_api),
        // Not in the gate, for its two minutes of compiling.
        ("interleavings", super::interleavings),
    ];
    // Before the first release there is nothing to compare with.
    if last_release(workspace)?.is_some() {
        steps.push(("semver", semver));
    }
    steps.extend([
        ("lowest rust", lowest_rust as Step),
        ("lowest versions of dependencies", lowest_versions),
        ("the first command of the README", quickstart),
        ("comparison with peers compiles", bench),
        ("fuzzing", fuzz),
    ]);
    Ok(steps)
}

/// Without advisories: their database cannot be fetched everywhere.
fn deny(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo(workspace.root()).args(["deny", "check", "licenses", "bans", "sources"]))
}

fn spelling(workspace: &Workspace) -> Result<()> {
    process::run(&mut process::command("typos", workspace.root()))
}

/// Packages every crate and builds it from its package.
fn packages(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo(workspace.root()).args([
        "publish",
        "--workspace",
        "--dry-run",
        "--allow-dirty",
    ]))
}

/// Compares the public items of each crate with its list, so every change is deliberate.
fn public_api(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    for package in libraries(workspace) {
        let Ok(listed) = fs::read_to_string(list_of(package)) else {
            wrong.push(format!("{}: no {LIST}: `cargo xtask public-api` writes it", package.name));
            continue;
        };
        wrong.extend(difference(&package.name, &listed, &exported(workspace, package)?));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Names the first line in which the items of a crate differ from its list.
fn difference(name: &str, listed: &str, exported: &str) -> Option<String> {
    let (before, now): (BTreeSet<&str>, BTreeSet<&str>) =
        (listed.lines().collect(), exported.lines().collect());
    let added = now.difference(&before).map(|item| format!("`{item}` is new"));
    let removed = before.difference(&now).map(|item| format!("`{item}` is gone"));
    let first = removed.chain(added).next()?;
    Some(format!("{name}: {first}: if that is meant, `cargo xtask public-api` updates {LIST}"))
}

/// Writes the lists of public items.
pub(super) fn write_public_api(workspace: &Workspace) -> Result<()> {
    for package in libraries(workspace) {
        fs::write(list_of(package), exported(workspace, package)?)?;
    }
    Ok(())
}

/// Returns the published libraries; a program exports nothing.
fn libraries(workspace: &Workspace) -> Vec<&Package> {
    let mut packages = workspace.publishable();
    packages.retain(|package| package.targets.iter().any(|target| target.is_lib()));
    packages
}

fn list_of(package: &Package) -> cargo_metadata::camino::Utf8PathBuf {
    package.manifest_path.with_file_name(LIST)
}

/// Returns a crate's public items with the features of docs.rs, one per line.
fn exported(workspace: &Workspace, package: &Package) -> Result<String> {
    let mut list = process::command("rustup", workspace.root());
    // Without auto traits and blanket implementations.
    // Nightly, since rustdoc's JSON is unstable.
    list.args(["run", "nightly", "cargo", "public-api", "-sss", "--package", package.name.as_str()]);
    let features = package.metadata.pointer("/docs/rs/features").and_then(|features| features.as_array());
    for feature in features.into_iter().flatten().filter_map(|feature| feature.as_str()) {
        list.args(["--features", feature]);
    }
    process::output(&mut list)
}

/// Compares with the last release.
fn semver(workspace: &Workspace) -> Result<()> {
    let last = last_release(workspace)?.ok_or("there is no release")?;
    let mut check = process::cargo(workspace.root());
    process::run(check.args(["semver-checks", "--workspace", "--baseline-rev", &last]))
}

fn last_release(workspace: &Workspace) -> Result<Option<String>> {
    let mut tags = process::command("git", workspace.root());
    // The newest first, by version and not by name: v0.10.0 before v0.9.0.
    let tags = process::output(tags.args(["tag", "--list", "v*", "--sort=-version:refname"]))?;
    Ok(tags.lines().next().map(str::to_owned))
}

/// Compiles each crate with the Rust that its manifest names.
fn lowest_rust(workspace: &Workspace) -> Result<()> {
    for package in workspace.publishable() {
        let Some(version) = &package.rust_version else {
            return Err(format!("{}: no `rust-version`", package.name).into());
        };
        let version = version.to_string();
        let mut install = process::command("rustup", workspace.root());
        process::run(install.args([
            "toolchain",
            "install",
            &version,
            "--profile",
            "minimal",
            "--no-self-update",
        ]))?;
        let mut check = with_toolchain(workspace, &version);
        check.args([
            "check",
            "--locked",
            "--package",
            package.name.as_str(),
            "--target-dir",
            // Its own: another compiler's artefacts would be compiled anew by the next command.
            "target/lowest-rust",
        ]);
        process::run(&mut check)?;
    }
    Ok(())
}

/// Compiles with the oldest dependencies that the manifests allow.
fn lowest_versions(workspace: &Workspace) -> Result<()> {
    let lock = workspace.root().join("Cargo.lock");
    // Cargo has no option for another lock file, so it is replaced and put back.
    let kept = fs::read(&lock)?;
    let mut update = with_toolchain(workspace, "nightly");
    let outcome = process::run(update.args(["update", "-Z", "direct-minimal-versions"])).and_then(|()| {
        let mut check = process::cargo(workspace.root());
        process::run(check.args(["check", "--workspace", "--target-dir", "target/lowest-versions"]))
    });
    fs::write(&lock, kept)?;
    outcome
}

/// Runs the example as a newcomer does: alone, with the features of its package only.
fn quickstart(workspace: &Workspace) -> Result<()> {
    let mut run = process::cargo(workspace.root());
    process::run(run.args(["run", "--locked", "-p", "examples", "--example", "quickstart"]))
}

fn bench(workspace: &Workspace) -> Result<()> {
    let mut check = process::cargo(workspace.root());
    process::run(check.args(["check", "--locked", "--manifest-path", "tests/bench/Cargo.toml"]))
}

/// Runs each target for ten seconds.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root().join("tests/fuzz");
    let mut targets: Vec<PathBuf> =
        fs::read_dir(folder.join("fuzz_targets"))?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    targets.sort();
    for target in targets {
        let Some(name) = target.file_stem() else { continue };
        let mut run = process::command("rustup", workspace.root());
        run.args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir"]).arg(&folder).arg(name);
        process::run(run.args(["--", "-max_total_time=10"]))?;
    }
    Ok(())
}

/// Returns the cargo of another toolchain.
fn with_toolchain(workspace: &Workspace, toolchain: &str) -> Command {
    let mut cargo = process::command("rustup", workspace.root());
    cargo.args(["run", toolchain, "cargo"]);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_that_came_or_went_is_named() {
        let listed = "pub fn a::one()\npub fn a::two()\n";
        assert_eq!(difference("a", listed, listed), None);
        let wrong = difference("a", listed, "pub fn a::one()\n").unwrap();
        assert!(wrong.starts_with("a: `pub fn a::two()` is gone"), "{wrong}");
        let wrong = difference("a", listed, &format!("{listed}pub fn a::three()\n")).unwrap();
        assert!(wrong.starts_with("a: `pub fn a::three()` is new"), "{wrong}");
    }
}
