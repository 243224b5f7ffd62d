//! The checks that a change must pass.

mod features;
mod slow;

use std::{process::Command, time::Instant};

use crate::{Result, output, process, tidy, workspace::Workspace};

/// Compiles the combinations of features, a part of [`run`].
///
/// # Errors
///
/// Lists the combinations that do not compile.
pub(crate) fn features() -> Result<()> {
    features::check(&Workspace::load()?)
}

/// Runs the cell of token-cache under chosen interleavings, a part of [`run`].
///
/// # Errors
///
/// If an interleaving fails.
pub(crate) fn model() -> Result<()> {
    interleavings(&Workspace::load()?)
}

type Step = fn(&Workspace) -> Result<()>;

/// Runs the checks that a change must pass.
///
/// # Errors
///
/// Lists the steps that failed.
pub(crate) fn run(with_tests: bool) -> Result<()> {
    let mut steps: Vec<(&str, Step)> = vec![
        ("format", format),
        ("tidy", |_| tidy::run()),
        ("lock files", lock_files),
        ("clippy", clippy),
        ("clippy with all features", clippy_all_features),
        ("features", features::check),
        ("tests with other features", tests_of_alternatives),
        ("docs", docs),
        ("examples", examples),
        ("soak", soak),
    ];
    if with_tests {
        steps.push(("tests", tests));
        steps.push(("interleavings", interleavings));
    }
    perform(&steps)
}

/// Runs checks that are too slow for each change, with tools that have to be installed.
///
/// # Errors
///
/// Lists the steps that failed, among them those whose tool is missing.
pub(crate) fn slow() -> Result<()> {
    perform(&slow::steps(&Workspace::load()?)?)
}

/// Writes the list of each crate's public items, which [`slow()`] compares.
///
/// # Errors
///
/// If a crate cannot be documented, or the tool is missing.
pub(crate) fn public_api() -> Result<()> {
    slow::write_public_api(&Workspace::load()?)
}

/// Runs every step, also after a failure.
fn perform(steps: &[(&str, Step)]) -> Result<()> {
    let workspace = Workspace::load()?;
    // All steps, so that one run shows everything that is to be mended.
    let mut failed = Vec::new();
    for (name, step) in steps {
        output::line(&format!("\n[{name}]"));
        let begun = now();
        let outcome = step(&workspace);
        output::line(&format!("[{name}] took {} s", begun.elapsed().as_secs()));
        if let Err(error) = outcome {
            output::error(&error.to_string());
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        output::line("\nci: passed");
        return Ok(());
    }
    Err(format!("\nci: failed: {}", failed.join("; ")).into())
}

#[expect(clippy::disallowed_methods, reason = "how long a step takes is measured, not tested")]
fn now() -> Instant {
    Instant::now()
}

fn format(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo(workspace.root()).args(["fmt", "--all", "--check"]))
}

/// Checks the lock files of the workspaces apart, which nothing else of a change's checks compiles.
fn lock_files(workspace: &Workspace) -> Result<()> {
    let mut list = process::command("git", workspace.root());
    for file in process::output(list.args(["ls-files", "*/Cargo.lock"]))?.lines() {
        let mut update = process::cargo(workspace.root());
        let manifest = file.replace(".lock", ".toml");
        process::run(update.args(["update", "--workspace", "--locked", "--manifest-path", &manifest]))?;
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    process::run(deny_warnings(process::cargo(workspace.root()).args([
        "clippy",
        "--workspace",
        "--all-targets",
    ])))
}

fn clippy_all_features(workspace: &Workspace) -> Result<()> {
    let mut clippy = process::cargo(workspace.root());
    clippy.args(["clippy", "--workspace", "--all-targets", "--all-features"]);
    for package in workspace.members() {
        // Two exclusive features are a compile error; `features` compiles each alone.
        if features::are_exclusive(package) {
            clippy.args(["--exclude", package.name.as_str()]);
        }
    }
    process::run(deny_warnings(&mut clippy))
}

/// Tests each package with its exclusive features that are not default ones, which no run of the
/// workspace enables.
fn tests_of_alternatives(workspace: &Workspace) -> Result<()> {
    for package in workspace.members() {
        for feature in features::alternatives(package) {
            let mut test = process::cargo(workspace.root());
            test.args(["test", "--package", package.name.as_str(), "--no-default-features"]);
            process::run(test.args(["--features", &feature]))?;
        }
    }
    Ok(())
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut doc = process::cargo(workspace.root());
    process::run(doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn tests(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo(workspace.root()).args(["test", "--workspace"]))
}

/// Uses its own target folder, because other flags recompile everything.
fn interleavings(workspace: &Workspace) -> Result<()> {
    let mut test = process::cargo(workspace.root());
    test.args([
        "test",
        "--package",
        "token-cache",
        "--test",
        "interleavings",
        "--target-dir",
        "target/shuttle",
    ]);
    process::run(test.env("RUSTFLAGS", "--cfg shuttle"))
}

/// Runs every example that needs no arguments, and those that documents give some: each brings its
/// own server.
fn examples(workspace: &Workspace) -> Result<()> {
    let Some(package) = workspace.members().into_iter().find(|package| package.name.as_str() == "examples")
    else {
        return Err("no package `examples`".into());
    };
    let listed = |key: &str| -> Vec<&str> {
        let list = package.metadata["xtask"][key].as_array();
        list.into_iter().flatten().filter_map(|entry| entry.as_str()).collect()
    };
    let needs_arguments = listed("examples-with-arguments");
    let plain =
        package.targets.iter().filter(|target| target.is_example()).map(|target| target.name.as_str());
    let runs = plain.filter(|name| !needs_arguments.contains(name)).chain(listed("runs-with-arguments"));
    build_programs(workspace)?;
    for run in runs {
        let (example, arguments) = run.split_once(' ').unwrap_or((run, ""));
        let program = workspace.target().join("debug/examples").join(example);
        process::run(process::command(program, workspace.root()).args(arguments.split_whitespace()))?;
    }
    Ok(())
}

/// Runs for half a minute with the default seed, so a failure can be reproduced.
fn soak(workspace: &Workspace) -> Result<()> {
    build_programs(workspace)?;
    let program = workspace.target().join("debug/soak");
    process::run(process::command(program, workspace.root()).args(["--minutes", "0.5"]))
}

/// Builds all examples and programs with the features that the tests have: one package alone has
/// others, with which the AWS SDK and sqlx would be compiled once more.
fn build_programs(workspace: &Workspace) -> Result<()> {
    let mut build = process::cargo(workspace.root());
    process::run(build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]))
}

fn deny_warnings(clippy: &mut Command) -> &mut Command {
    clippy.args(["--", "-D", "warnings"])
}
