//! Starts the integration suite, a member of its own so that this program stays quick to build.

use crate::{Result, bench, process, workspace::Workspace};

/// The suite, and the programs that it runs.
const PROGRAMS: &[&str] = &[
    "--package=integration",
    "--package=rds-iam",
    "--package=examples",
    "--bin=integration",
    "--bin=rds-iam",
    "--bin=sqlx",
    "--example=print_rds_token",
];

/// Replaces this process by the suite: only the suite gets an interrupt then, and has the time to
/// stop its servers.
///
/// # Errors
///
/// If something does not build or the suite cannot be started; otherwise this does not return.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut build = process::cargo(workspace.root());
    process::run(build.args(["build", "--quiet"]).args(PROGRAMS))?;
    if arguments.windows(2).any(|pair| pair == ["--with", "bench"]) {
        bench::build(&workspace, &[])?;
    }
    let mut suite = process::command(workspace.target().join("debug/integration"), workspace.root());
    suite.args(arguments).arg("--cache").arg(workspace.target().join("integration"));
    Err(process::replace_by(&mut suite))
}
