//! Starts the benchmarks, a workspace of its own since the peers take minutes to compile.

use crate::{Result, process, workspace::Workspace};

/// The part that is measured over both TLS stacks of mysql_async, of which a program has one.
const MYSQL: &str = "mysql";

/// Runs the named parts, or all that are quick, and writes their sections of `BENCHMARKS.md`.
///
/// # Errors
///
/// If something does not build or a part fails.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    if parts.is_empty() || parts.contains(&MYSQL) {
        measure(&["--no-default-features", "--features=mysql-native-tls"], &[MYSQL])?;
    }
    measure(&[], parts)
}

fn measure(features: &[&str], parts: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    build(&workspace, features)?;
    let folder = workspace.root().join("tests/bench");
    // Not by `cargo run`, which would stay in memory beside it.
    process::run(process::command(folder.join("target/release/rds-wrapper-bench"), &folder).args(parts))
}

/// Builds the benchmarks.
///
/// # Errors
///
/// If they do not build.
pub(crate) fn build(workspace: &Workspace, features: &[&str]) -> Result<()> {
    let folder = workspace.root().join("tests/bench");
    let mut build = process::cargo(&folder);
    // Where it is looked for, whatever target folder the caller has.
    process::run(build.args(["build", "--release", "--locked", "--target-dir=target"]).args(features))
}
